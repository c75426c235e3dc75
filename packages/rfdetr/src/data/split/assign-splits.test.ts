import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Rng } from "../../support/random.js";
import { assignSplits, type Dealt, type Shares } from "./assign-splits.js";

const shares = (valid: number, test = 0): Shares => ({ train: 1 - valid - test, valid, test });
const count = (splits: readonly string[], name: string): number => splits.filter((split) => split === name).length;

describe("dealing pictures to splits", () => {
  it("gives every split its share of each class, rare ones too", () => {
    const rng = new Rng(1);
    const frequency = [0.9, 0.5, 0.1, 0.03];
    const pictures = Array.from(
      { length: 1000 },
      (_, group): Dealt => ({
        group,
        labels: frequency.flatMap((p, label) => (rng.chance(p) ? [label] : [])),
      }),
    );
    const splits = assignSplits(pictures, shares(0.2, 0.1), 0);
    for (const [split, share] of [
      ["valid", 0.2],
      ["test", 0.1],
    ] as const) {
      expect(Math.abs(count(splits, split) / 1000 - share)).toBeLessThan(0.005);
      for (const label of frequency.keys()) {
        const showing = pictures.flatMap(({ labels }, i) => ([...labels].includes(label) ? [splits[i]] : []));
        expect(Math.abs(count(showing, split) - share * showing.length)).toBeLessThanOrEqual(2);
      }
    }
  });

  it("gives the same splits for the same seed, others for another", () => {
    const pictures = Array.from({ length: 100 }, (_, group) => ({ group, labels: [group % 3] }));
    expect(assignSplits(pictures, shares(0.2), 5)).toEqual(assignSplits(pictures, shares(0.2), 5));
    expect(assignSplits(pictures, shares(0.2), 5)).not.toEqual(assignSplits(pictures, shares(0.2), 6));
  });

  it("keeps groups together and classes of a single group in train", () => {
    const picture = fc.record({ group: fc.nat({ max: 30 }), labels: fc.uniqueArray(fc.nat({ max: 5 })) });
    fc.assert(
      fc.property(
        fc.array(picture, { minLength: 1 }),
        fc.double({ min: 0.05, max: 0.45, noNaN: true }),
        (pictures, valid) => {
          const splits = assignSplits(pictures, shares(valid), 0);
          const splitOf = new Map(pictures.map(({ group }, i) => [group, splits[i]]));
          expect(pictures.map(({ group }) => splitOf.get(group))).toEqual(splits);
          for (const label of new Set(pictures.flatMap(({ labels }) => labels))) {
            const groups = new Set(pictures.flatMap(({ group, labels }) => (labels.includes(label) ? [group] : [])));
            if (groups.size === 1) expect(splitOf.get([...groups][0])).toBe("train");
          }
        },
      ),
    );
  });

  it("deals pictures without objects too", () => {
    const splits = assignSplits(
      Array.from({ length: 50 }, (_, group) => ({ group, labels: [] })),
      shares(0.2),
      0,
    );
    expect(count(splits, "valid")).toBe(10);
  });
});
