import { readFileSync } from "node:fs";
import { gradients, scope, type Tensor, tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import type { Target } from "../data/target.js";
import { uniforms } from "../instruments/peers/deterministic-fill.js";
import { encodeMask } from "../masks/mask.js";
import type { MaskFeatures, Prediction } from "../model/outputs.js";
import { goldenPoints } from "../testing/mask-points.js";
import type { ClassificationKind } from "./classification.js";
import { Criterion } from "./criterion.js";
import { maskCosts } from "./masks.js";
import { defaultCosts, HungarianMatcher } from "./matcher.js";
import { TrueMasks } from "./true-masks.js";

/** Losses and gradients of the Python package in float64, written by `tools/reference/criterion_goldens.py`. */
interface Golden {
  name: string;
  kind: ClassificationKind;
  counts: number[];
  rows: number;
  selected: number;
  classes: number;
  groups: number;
  aux: number;
  terms: Record<string, number>;
  total: number;
  gradient_norms: number[];
  gradient_sums: number[];
  masks?: MaskCase;
  /** Norm and projection of the mask costs of the last layer: of each image the cross-entropy, then Dice. */
  mask_costs?: [number, number][];
  /** Queries and targets that the last layer matches, by image. */
  matches?: [number[], number[]][];
}
interface MaskCase {
  depth: number;
  height: number;
  width: number;
  ratio: number;
  size: [number, number];
}

const goldens = JSON.parse(readFileSync(new URL("./fixtures/criterion.json", import.meta.url), "utf8")) as Golden[];

function leaf(key: string, shape: number[], value: (u: number) => number): Tensor {
  const count = shape.reduce((a, b) => a * b, 1);
  const made = tensor(Float32Array.from(uniforms(key, count), value), { shape }).to("float64");
  made.requiresGrad = true;
  return made;
}

function prediction(key: string, { counts, classes, masks }: Golden, rows: number): Prediction {
  const batch = counts.length;
  const boxes = {
    predLogits: leaf(`${key}.logits`, [batch, rows, classes], (u) => 3 * u - 1),
    predBoxes: leaf(`${key}.boxes`, [batch, rows, 4], (u) => (u + 1.2) / 3),
  };
  if (masks === undefined) return boxes;
  const { depth, height, width } = masks;
  const feature = (name: string, shape: number[]): Tensor => leaf(`${key}.${name}`, shape, (u) => 2 * u);
  const predMasks = {
    spatialFeatures: feature("spatial_features", [batch, depth, height, width]),
    queryFeatures: feature("query_features", [batch, rows, depth]),
    bias: feature("bias", [1]),
  };
  return { ...boxes, predMasks };
}

const leavesOf = ({ predLogits, predBoxes, predMasks }: Prediction): Tensor[] => {
  const { spatialFeatures, queryFeatures, bias } = predMasks ?? ({} as Partial<MaskFeatures>);
  return [predLogits, predBoxes, spatialFeatures, queryFeatures, bias].filter((x) => x !== undefined);
};

const targetsOf = ({ counts, classes, masks }: Golden): Target[] =>
  counts.map((n, b) => {
    const boxes = {
      imageId: b,
      labels: Int32Array.from({ length: n }, (_, k) => (7 * k + 3 * b + 1) % classes),
      boxes: Float32Array.from(uniforms(`target${b}`, n * 4), (u) => (u + 1.5) / 4),
    };
    if (masks === undefined) return boxes;
    const [height, width] = masks.size;
    const pixels = height * width;
    const bits = Uint8Array.from(uniforms(`mask${b}`, n * pixels), (u) => Number(u > 0.2));
    const each = Array.from({ length: n }, (_, k) => bits.subarray(k * pixels, (k + 1) * pixels));
    return { ...boxes, masks: each.map((own) => encodeMask(own, height, width)) };
  });

/** The norm of gradients or costs, and a projection of them, which sees signs and places. */
function marks(values: readonly number[]): [norm: number, projection: number] {
  const probe = uniforms("probe", values.length);
  return [Math.sqrt(values.reduce((sum, g) => sum + g * g, 0)), values.reduce((sum, g, j) => sum + g * probe[j], 0)];
}

// Both round the matching costs to float32, so both find the same matches. Only the order of float64 sums differs, and
// 1e-10 is far above that difference.
const near = (value: number, golden: number): void =>
  expect(Math.abs(value - golden)).toBeLessThanOrEqual(1e-10 * Math.max(1, Math.abs(golden)));

describe("the criterion in float64 agrees with the Python package", () => {
  it.each(goldens.map((golden) => [`${golden.kind}: ${golden.name}`, golden] as const))("%s", (_, golden) => {
    scope(() => {
      const last = prediction("last", golden, golden.rows);
      const aux = Array.from({ length: golden.aux }, (_, i) => prediction(`aux${i}`, golden, golden.rows));
      const enc = prediction("enc", golden, golden.selected);
      const { groups: groupDetr, kind, masks } = golden;
      const options = masks && { pointSampleRatio: masks.ratio, draw: goldenPoints() };
      const criterion = new Criterion({ groupDetr, kind, ...(options && { masks: options }) });
      const { total, terms } = criterion.compute({ ...last, auxOutputs: aux, encOutputs: enc }, targetsOf(golden), {
        training: true,
      });

      expect([...terms.keys()].sort()).toEqual(Object.keys(golden.terms).sort());
      // Python computes class and cardinality errors in float32 whatever the outputs are.
      for (const [name, value] of Object.entries(golden.terms))
        if (name.includes("error")) expect((terms.get(name) as Tensor).item()).toBeCloseTo(value, 4);
        else near((terms.get(name) as Tensor).item(), value);
      near(total.item(), golden.total);

      const leaves = [last, ...aux, enc].flatMap(leavesOf);
      gradients([total], leaves, { allowUnused: true }).forEach((gradient, i) => {
        const values = gradient === null ? [] : (gradient.flatten().toList() as number[]);
        const [norm, projection] = marks(values);
        near(norm, golden.gradient_norms[i]);
        near(projection, golden.gradient_sums[i]);
      });
    });
  });

  const masked = goldens.flatMap((golden) => (golden.masks ? [[golden.name, golden, golden.masks] as const] : []));
  it.each(masked)("%s: so do the costs of masks and the matches", (_, golden, { height, width, ratio }) => {
    scope(() => {
      const last = prediction("last", golden, golden.rows);
      const { spatialFeatures, queryFeatures, bias } = last.predMasks as MaskFeatures;
      const targets = targetsOf(golden);
      const truth = new TrueMasks(targets, "cpu");
      const points = goldenPoints()([1, Math.floor((height * width) / ratio), 2], "cpu");
      golden.counts.forEach((count, b) => {
        if (count === 0) return;
        const own = {
          spatialFeatures: spatialFeatures.narrow(0, b, 1),
          queryFeatures: queryFeatures.narrow(0, b, 1),
          bias,
        };
        const order = Int32Array.from({ length: count }, (_, k) => k);
        const values = truth.sample(new Int32Array(count).fill(b), order, points).unsqueeze(0);
        [
          { ce: 1, dice: 0 },
          { ce: 0, dice: 1 },
        ].forEach((weights, kind) => {
          const costs = maskCosts(own, points, values, weights).flatten().toList() as number[];
          const there = golden.mask_costs?.[2 * b + kind] as [number, number];
          marks(costs).forEach((mark, i) => {
            near(mark, there[i]);
          });
        });
      });
      const options = { ce: 5, dice: 5, pointSampleRatio: ratio, draw: goldenPoints() };
      const [{ batch, query, target }] = new HungarianMatcher(defaultCosts, options).match(
        [last],
        targets,
        golden.groups,
      );
      const ofImage = (all: Int32Array, b: number): number[] => [...all].filter((_, i) => batch[i] === b);
      expect(golden.counts.map((_, b) => [ofImage(query, b), ofImage(target, b)])).toEqual(golden.matches);
    });
  });
});
