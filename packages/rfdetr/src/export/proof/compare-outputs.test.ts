// What counts as a disagreement of two outputs.
import { expect, it } from "vitest";
import type { RawOutputs } from "../../onnx/goldens.js";
import { compareOutputs } from "./compare-outputs.js";

/** Two classes; a query is its box and the score of its first class. */
function outputs(...queries: (readonly [x: number, score: number])[]): RawOutputs {
  return {
    boxes: Float32Array.from(queries.flatMap(([x]) => [x, 0.5, 0.2, 0.2])),
    logits: Float32Array.from(queries.flatMap(([, score]) => [Math.log(score / (1 - score)), -20])),
  };
}

const options = { threshold: 0.5, tolerance: { box_px: 0.1, score: 0.001 } };
const compare = (ours: RawOutputs, theirs: RawOutputs) => compareOutputs(ours, theirs, [100, 200], options);

it("measures boxes in pixels of the input and scores", () => {
  const found = compare(outputs([0.5, 0.8]), outputs([0.501, 0.79]));
  expect(found.boxPx).toBeCloseTo(0.2, 4);
  expect(found.score).toBeCloseTo(0.01, 5);
  expect(found).toMatchObject({ queries: 1, beyond: 1, flips: 0 });
});

it("holds each query to the nearest one, wherever it stands", () => {
  const found = compare(outputs([0.2, 0.9], [0.7, 0.6]), outputs([0.7, 0.6], [0.2, 0.9]));
  expect(found).toEqual({ queries: 2, boxPx: 0, score: 0, flips: 0, beyond: 0, best: expect.closeTo(0.9, 6) });
});

it("keeps the best score of either", () => {
  expect(compare(outputs([0.2, 0.3], [0.7, 0.1]), outputs([0.2, 0.4], [0.7, 0.1])).best).toBeCloseTo(0.4, 6);
  expect(compare(outputs([0.2, 0.4]), outputs([0.2, 0.3])).best).toBeCloseTo(0.4, 6);
});

it("counts detections that are on one side of the threshold only, whoever has them", () => {
  expect(compare(outputs([0.2, 0.501]), outputs([0.2, 0.499])).flips).toBe(1);
  expect(compare(outputs([0.2, 0.499]), outputs([0.2, 0.501])).flips).toBe(1);
  expect(compare(outputs([0.2, 0.6]), outputs([0.2, 0.7])).flips).toBe(0);
});

it("takes NaN as farther than any tolerance", () => {
  const broken = { boxes: new Float32Array(4).fill(Number.NaN), logits: new Float32Array(2).fill(Number.NaN) };
  expect(compare(outputs([0.2, 0.6]), broken)).toMatchObject({ beyond: 1, boxPx: Number.POSITIVE_INFINITY });
});

it("compares the masks of the same queries, and counts those that are beyond the tolerance", () => {
  const plane = (value: number, other: number) => [...Array(50).fill(value), ...Array(50).fill(other)];
  const masks = (...logits: number[]) => ({ masks: { logits: Float32Array.from(logits), height: 10, width: 10 } });
  const ours = { ...outputs([0.2, 0.9], [0.7, 0.6]), ...masks(...plane(1, 1), ...plane(2, -2)) };
  const turned = { ...outputs([0.7, 0.6], [0.2, 0.9]), ...masks(...plane(2, -2), ...plane(1, 1)) };
  const mask = { box_px: 0.1, score: 0.001, mask: 0.2 };
  const found = (theirs: RawOutputs) => compareOutputs(ours, theirs, [100, 200], { threshold: 0.5, tolerance: mask });
  expect(found(turned)).toMatchObject({ beyond: 0, mask: { logit: 0, apart: 0 } });
  const half = { ...turned, ...masks(...plane(2, -2), ...plane(1, -1)) };
  expect(found(half)).toMatchObject({ beyond: 1, mask: { logit: 2, apart: 0.5 } });
  const broken = { ...turned, ...masks(...plane(2, Number.NaN), ...plane(1, 1)) };
  expect(found(broken)).toMatchObject({ beyond: 1, mask: { logit: Number.POSITIVE_INFINITY, apart: 1 } });
  expect(found(outputs([0.7, 0.6], [0.2, 0.9]))).toMatchObject({ beyond: 2 });
});

it("measures the masks of what is no detection, and does not judge them", () => {
  const mask = (logit: number) => ({ masks: { logits: new Float32Array(100).fill(logit), height: 10, width: 10 } });
  const compared = (score: number) =>
    compareOutputs({ ...outputs([0.5, score]), ...mask(1) }, { ...outputs([0.5, score]), ...mask(-1) }, [100, 200], {
      threshold: 0.5,
      tolerance: { ...options.tolerance, mask: 0.1 },
    });
  expect(compared(0.05)).toMatchObject({ beyond: 0, mask: { logit: 2, apart: 1 } });
  expect(compared(0.15)).toMatchObject({ beyond: 1, mask: { logit: 2, apart: 1 } });
});

it("takes of several near queries the one with the same mask", () => {
  const masks = (...logits: number[]) => ({
    masks: { logits: Float32Array.from(logits.flatMap((logit) => Array(100).fill(logit))), height: 10, width: 10 },
  });
  const ours = { ...outputs([0.5, 0.3], [0.5001, 0.3]), ...masks(-1, 1) };
  const theirs = { ...outputs([0.5001, 0.3], [0.5, 0.3]), ...masks(-1, 1) };
  const found = compareOutputs(ours, theirs, [100, 200], {
    ...options,
    tolerance: { ...options.tolerance, mask: 0.1 },
  });
  expect(found).toMatchObject({ beyond: 0, mask: { logit: 0, apart: 0 } });
});

it("leaves out queries that no threshold reports, where enough are better", () => {
  const many = Array.from({ length: 16 }, (_, i) => [i / 20, 0.3] as const);
  expect(compare(outputs(...many, [0.9, 0.05]), outputs(...many, [0.8, 0.05]))).toMatchObject({
    queries: 16,
    beyond: 0,
  });
});
