// Finds pictures that a dataset has more than once. One that is in two splits is a leak: the model is then judged by
// what it has learned by heart.

import {
  abortSignal,
  anyList,
  callback,
  checkArgument,
  checkOptions,
  flag,
  type OptionKinds,
} from "../../support/options.js";
import type { Split } from "../formats/dataset.js";
import { bands, digestOf, type Fingerprint, fingerprint, samePicture } from "./fingerprint.js";

/** An image file of a split. */
export interface SplitFile {
  file: string;
  split: Split;
}

/** Files that hold one picture. */
export interface DuplicateGroup {
  /** `exact`: the bytes of all files are equal. `near`: they differ in encoding, size, brightness or contrast. */
  kind: "exact" | "near";
  /** Whether they are in more than one split. */
  across: boolean;
  /** Two or more, in the order in which they were given. */
  files: SplitFile[];
}

/** Options of {@link findDuplicates}. */
export interface DuplicateOptions {
  signal?: AbortSignal;
  /** Whether to look for near duplicates, which decodes every image (default true). */
  near?: boolean;
  /** Called after each file with the numbers of files done and in all. */
  onProgress?: (done: number, total: number) => void;
}

const duplicateOptions: OptionKinds<DuplicateOptions> = { signal: abortSignal, near: flag, onProgress: callback };

/** Files that are read at once; libvips decodes each in a thread of Node's pool, which has four. */
const readers = 4;
/** Pictures of one bucket that each is compared with; only sets of nearly even pictures have as many alike. */
const mostCompared = 1000;
/** Of 112 bits, those in which near duplicates differ at most. */
const mostBits = 12;

/**
 * Finds exact and near duplicates. Files that do not decode are compared by their bytes only; the same path in the same
 * split counts once. A picture that was cropped, turned or mirrored is another picture. Time grows with the number of
 * files, not its square: fingerprints are compared where one eighth of their bits is equal.
 * @throws whatever `signal` gives as its reason
 * @example
 * import { findDuplicates } from "rfdetr/data";
 * const groups = await findDuplicates([
 *   { file: "train/a.jpg", split: "train" },
 *   { file: "valid/b.jpg", split: "valid" },
 * ]);
 * for (const { kind, across, files } of groups) console.log(kind, across, files.map(({ file }) => file));
 */
export async function findDuplicates(
  files: readonly SplitFile[],
  options: DuplicateOptions = {},
): Promise<DuplicateGroup[]> {
  checkOptions("findDuplicates", options, duplicateOptions);
  checkArgument("files", files, anyList);
  const { signal, near = true, onProgress } = options;
  const unique = [...new Map(files.map((entry) => [`${entry.split}\0${entry.file}`, entry])).values()];
  const digests: (string | null)[] = Array(unique.length).fill(null);
  const prints: (Fingerprint | null)[] = Array(unique.length).fill(null);
  let next = 0;
  let done = 0;
  const read = async (): Promise<void> => {
    while (next < unique.length) {
      signal?.throwIfAborted();
      const i = next++;
      digests[i] = await digestOf(unique[i].file).catch(() => null);
      if (near) prints[i] = await fingerprint(unique[i].file).catch(() => null);
      onProgress?.(++done, unique.length);
    }
  };
  await Promise.all(Array.from({ length: readers }, read));
  signal?.throwIfAborted();

  const sets = new DisjointSets(unique.length);
  const first = new Map<string, number>();
  for (const [i, digest] of digests.entries()) {
    if (digest === null) continue;
    const known = first.get(digest);
    if (known === undefined) first.set(digest, i);
    else {
      sets.join(known, i);
      prints[i] = null;
    }
  }
  joinNear(prints, sets);
  return groupsOf(unique, digests, sets);
}

/** Joins pictures that are nearly the same. */
function joinNear(prints: readonly (Fingerprint | null)[], sets: DisjointSets): void {
  for (let band = 0; band < bands; band++) {
    const buckets = new Map<number, number[]>();
    for (const [i, print] of prints.entries()) {
      if (print === null) continue;
      const bucket = buckets.get(print.bits[band]);
      if (bucket === undefined) buckets.set(print.bits[band], [i]);
      else bucket.push(i);
    }
    for (const bucket of buckets.values())
      for (let a = 0; a < bucket.length; a++)
        for (let b = a + 1; b < Math.min(bucket.length, a + mostCompared); b++) {
          const [i, j] = [bucket[a], bucket[b]];
          const [p, q] = [prints[i] as Fingerprint, prints[j] as Fingerprint];
          if (differingBits(p.bits, q.bits) > mostBits || sets.find(i) === sets.find(j)) continue;
          if (samePicture(p, q)) sets.join(i, j);
        }
  }
}

function differingBits(a: Uint16Array, b: Uint16Array): number {
  let count = 0;
  for (let i = 0; i < bands; i++) {
    let bits = a[i] ^ b[i];
    for (; bits !== 0; bits &= bits - 1) count++;
  }
  return count;
}

function groupsOf(
  files: readonly SplitFile[],
  digests: readonly (string | null)[],
  sets: DisjointSets,
): DuplicateGroup[] {
  const members = new Map<number, number[]>();
  for (let i = 0; i < files.length; i++) {
    const root = sets.find(i);
    const group = members.get(root);
    if (group === undefined) members.set(root, [i]);
    else group.push(i);
  }
  return [...members.values()]
    .filter((group) => group.length > 1)
    .map((group) => ({
      kind: new Set(group.map((i) => digests[i])).size === 1 ? "exact" : "near",
      across: new Set(group.map((i) => files[i].split)).size > 1,
      files: group.map((i) => files[i]),
    }));
}

/** Sets of numbers that are joined step by step (union–find with path halving). */
class DisjointSets {
  private readonly parent: Int32Array;

  constructor(size: number) {
    this.parent = Int32Array.from({ length: size }, (_, i) => i);
  }

  find(i: number): number {
    const { parent } = this;
    while (parent[i] !== i) {
      parent[i] = parent[parent[i]];
      i = parent[i];
    }
    return i;
  }

  /** The smaller root stays, so that groups keep the order of their first members. */
  join(i: number, j: number): void {
    const [a, b] = [this.find(i), this.find(j)];
    this.parent[Math.max(a, b)] = Math.min(a, b);
  }
}
