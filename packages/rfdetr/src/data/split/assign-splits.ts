// Deals pictures to splits so that every split has its share of each class: iterative stratification (Sechidis,
// Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data", 2011, algorithm 1), with whole groups in place
// of single pictures.
import { Rng } from "../../support/random.js";
import type { Split } from "../formats/dataset.js";

/** A picture to deal out. */
export interface Dealt {
  /** Pictures of one group stay together. */
  group: number;
  /** Classes that it shows. */
  labels: Iterable<number>;
}

/** Shares of all pictures, each from 0 to 1, 1 in sum. */
export type Shares = Readonly<Record<Split, number>>;

/** Pictures in all and of each class: those of a group, or those that a split lacks. */
class Tally {
  pictures = 0;
  readonly classes = new Map<number, number>();

  add(other: Tally, factor: number): void {
    this.pictures += factor * other.pictures;
    for (const [label, count] of other.classes) this.classes.set(label, this.of(label) + factor * count);
  }

  of(label: number): number {
    return this.classes.get(label) ?? 0;
  }
}

/**
 * Gives each picture its split. The class of the fewest groups is dealt first, its largest groups first: each goes to
 * the split that lacks most pictures of this class, at a tie most pictures in all, then at random. What shows no class
 * comes last. A class of a single group is in the split with the largest share.
 * @returns a split for each picture, the same for the same seed
 */
export function assignSplits(pictures: readonly Dealt[], shares: Shares, seed: number): Split[] {
  const rng = new Rng(seed, "split");
  const groups = tallyGroups(pictures);
  const all = new Tally();
  for (const group of groups.values()) all.add(group, 1);
  const lacking = (["train", "valid", "test"] as const)
    .filter((split) => shares[split] > 0)
    .map((split) => {
      const tally = new Tally();
      tally.add(all, shares[split]);
      return { split, tally };
    });
  const assigned = new Map<number, Split>();
  const give = (id: number, label: number | null): void => {
    const group = groups.get(id) as Tally;
    const need = ({ tally }: (typeof lacking)[number]): readonly number[] => [
      label === null ? 0 : tally.of(label),
      tally.pictures,
    ];
    const most = lacking.map(need).reduce((a, b) => (compare(b, a) > 0 ? b : a));
    const { split, tally } = rng.choice(lacking.filter((each) => compare(need(each), most) === 0));
    tally.add(group, -1);
    assigned.set(id, split);
  };
  for (const { label, ids } of classesByRarity(groups, assigned))
    for (const id of largestFirst(ids, groups, rng)) give(id, label);
  const rest = [...groups.keys()].filter((id) => !assigned.has(id));
  for (const id of largestFirst(rest, groups, rng)) give(id, null);
  return pictures.map(({ group }) => assigned.get(group) as Split);
}

function tallyGroups(pictures: readonly Dealt[]): Map<number, Tally> {
  const groups = new Map<number, Tally>();
  for (const { group, labels } of pictures) {
    const tally = groups.get(group) ?? new Tally();
    groups.set(group, tally);
    tally.pictures++;
    for (const label of new Set(labels)) tally.classes.set(label, tally.of(label) + 1);
  }
  return groups;
}

/** Class by class, the groups that are not assigned yet; always the class that has the fewest of them. */
function* classesByRarity(
  groups: ReadonlyMap<number, Tally>,
  assigned: ReadonlyMap<number, Split>,
): Generator<{ label: number; ids: number[] }> {
  const showing = new Map<number, number[]>();
  for (const [id, { classes }] of groups)
    for (const label of classes.keys()) {
      const ids = showing.get(label);
      if (ids === undefined) showing.set(label, [id]);
      else ids.push(id);
    }
  const left = new Map([...showing].map(([label, ids]) => [label, ids.length]));
  while (left.size > 0) {
    // Of classes with as few, the one that had fewest to begin with, so that a class of one group is dealt for itself.
    const rarity = ([label, count]: [number, number]): number[] => [count, (showing.get(label) as number[]).length];
    const [label] = [...left].reduce((a, b) => (compare(rarity(b), rarity(a)) < 0 ? b : a));
    left.delete(label);
    const ids = (showing.get(label) as number[]).filter((id) => !assigned.has(id));
    for (const id of ids)
      for (const other of (groups.get(id) as Tally).classes.keys())
        if (left.has(other)) left.set(other, (left.get(other) as number) - 1);
    yield { label, ids };
  }
}

/** Large groups are dealt while every split still has room for them; those of one size in random order. */
function largestFirst(ids: readonly number[], groups: ReadonlyMap<number, Tally>, rng: Rng): number[] {
  const keyed = ids.map((id) => ({ id, size: (groups.get(id) as Tally).pictures, key: rng.next() }));
  return keyed.sort((a, b) => b.size - a.size || a.key - b.key).map(({ id }) => id);
}

/** Compares by the first number, then by the second. Differences by rounding are none. */
function compare(a: readonly number[], b: readonly number[]): number {
  const first = a.findIndex((value, i) => Math.abs(value - b[i]) > 1e-9);
  return first < 0 ? 0 : a[first] - b[first];
}
