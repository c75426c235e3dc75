import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeMask, type Mask } from "../../masks/index.js";
import { type GoldenDataset, goldenDatasets, loadGolden } from "../../testing/evaluation/load-golden.js";
import { CocoEvaluator } from "../coco/coco.js";
import type { EvaluatedImage } from "../coco/evaluated-image.js";
import { confusionMatrix } from "./confusion-matrix.js";
import { evaluationDetails } from "./describe-evaluation.js";

const side = 40;

/** The mask that fills a box of whole pixels: left, top, right, bottom. */
function filled([left, top, right, bottom]: readonly number[]): Mask {
  const inside = (i: number): boolean => {
    const [x, y] = [i % side, Math.floor(i / side)];
    return x >= left && x < right && y >= top && y < bottom;
  };
  return encodeMask(
    Uint8Array.from({ length: side * side }, (_, i) => (inside(i) ? 1 : 0)),
    side,
    side,
  );
}

type Box = [left: number, top: number, right: number, bottom: number];

interface Scene {
  truths: { box: Box; label: number; crowd: number }[];
  detections: { box: Box; label: number; score: number }[];
}

const box: fc.Arbitrary<Box> = fc
  .tuple(fc.nat(side - 12), fc.nat(side - 12), fc.integer({ min: 1, max: 38 }), fc.integer({ min: 1, max: 38 }))
  .map(([left, top, width, height]) => [left, top, Math.min(side, left + width), Math.min(side, top + height)]);
const scenes = fc.array(
  fc.record({
    truths: fc.array(fc.record({ box, label: fc.nat(1), crowd: fc.constantFrom(0, 0, 0, 1) }), { maxLength: 5 }),
    detections: fc.array(fc.record({ box, label: fc.nat(2), score: fc.constantFrom(0.01, 0.2, 0.3, 0.5, 0.5, 0.9) }), {
      maxLength: 8,
    }),
  }),
  { minLength: 15, maxLength: 20 },
);

/** @param boxOf the box of an object as the evaluator is told, where that is not that of its mask */
function imageOf(
  { truths, detections }: Scene,
  id: number,
  masks: boolean,
  boxOf = (box: Box): readonly number[] => box,
): EvaluatedImage {
  const objects = <T extends { box: Box; label: number }>(of: readonly T[]) => ({
    boxes: of.flatMap(({ box }) => boxOf(box)),
    labels: of.map(({ label }) => label),
    ...(masks ? { masks: of.map(({ box }) => filled(box)) } : {}),
  });
  return {
    id,
    gt: { ...objects(truths), crowd: truths.map(({ crowd }) => crowd) },
    detections: { ...objects(detections), scores: detections.map(({ score }) => score) },
  };
}

function evaluatorOf(images: readonly EvaluatedImage[]): CocoEvaluator {
  const evaluator = new CocoEvaluator({ classNames: ["cat", "dog"] });
  for (const image of images) evaluator.addImage(image);
  return evaluator;
}

describe("the details of masks", () => {
  it("are those of boxes where every mask fills its box, to the bit", () => {
    fc.assert(
      fc.property(scenes, (given) => {
        const details = evaluationDetails(evaluatorOf(given.map((scene, id) => imageOf(scene, id, true))));
        const { masks, ...boxes } = details;
        const { version, origin, images, instances, detections, images_shown, ...figures } = boxes;
        expect(masks).toEqual(figures);
        expect(evaluationDetails(evaluatorOf(given.map((scene, id) => imageOf(scene, id, false))))).toEqual(boxes);
      }),
      { numRuns: 40 },
    );
  });

  it("depend on the masks alone, but for how images are grouped, and judge the images that are shown", () => {
    const narrow = ([left, top, , bottom]: Box): number[] => [left, top, left + 1, bottom];
    fc.assert(
      fc.property(scenes, (given) => {
        const areas = given.map(({ truths }) => truths.map(({ box: [l, t, r, b] }) => (r - l) * (b - t)));
        const withBoxes = (boxOf?: (box: Box) => readonly number[]) =>
          evaluationDetails(
            evaluatorOf(
              given.map((scene, id) => {
                const image = imageOf(scene, id, true, boxOf);
                return { ...image, gt: { ...image.gt, area: areas[id] } };
              }),
            ),
          );
        const states = ({ images_shown }: ReturnType<typeof withBoxes>) =>
          images_shown.map(({ id, worst, truths, detections }) => [
            id,
            worst,
            truths.map(({ state }) => state),
            detections.map(({ state, truth }) => [state, truth]),
          ]);
        const [one, other] = [withBoxes(), withBoxes(narrow)];
        expect({ ...other.masks, properties: [] }).toEqual({ ...one.masks, properties: [] });
        expect(states(other)).toEqual(states(one));
      }),
      { numRuns: 20 },
    );
  });

  const one = { truths: [{ box: [0, 0, 20, 20] as Box, label: 0, crowd: 0 }] };
  const found = (label: number, mask: Box): EvaluatedImage => {
    const image = imageOf({ ...one, detections: [{ box: [0, 0, 20, 20], label, score: 0.9 }] }, 1, true);
    return { ...image, detections: { ...image.detections, masks: [filled(mask)] } };
  };

  it("name the error of a mask where its box is right", () => {
    const { errors, masks, images_shown, best_threshold } = evaluationDetails(evaluatorOf([found(0, [0, 0, 20, 8])]));
    expect(errors.costliest).toBeNull();
    expect(masks?.errors).toMatchObject({ AP50: 0, costliest: { kind: "localisation", size: null, lost: 1 } });
    expect([best_threshold.f1, masks?.best_threshold.f1]).toEqual([1, 0]);
    expect(images_shown[0].detections[0].state).toBe("localisation");
  });

  it("find which class is taken for which by the masks of all classes", () => {
    const evaluator = evaluatorOf([found(1, [0, 0, 20, 8])]);
    expect([...confusionMatrix(evaluator).counts]).toEqual([0, 0, 0, 1, 0, 0, 0, 0, 0]);
    expect([...confusionMatrix(evaluator, { iouType: "masks" }).counts]).toEqual([0, 0, 0, 0, 0, 1, 1, 0, 0]);
    const { masks } = evaluationDetails(evaluatorOf([found(1, [0, 0, 20, 18])]));
    expect(masks?.errors.kinds.class).toMatchObject({ count: 1, lost: 1 });
  });

  it("are absent, and refused, without masks", () => {
    const evaluator = evaluatorOf([imageOf({ ...one, detections: [] }, 1, false)]);
    expect(evaluationDetails(evaluator)).not.toHaveProperty("masks");
    expect(() => evaluator.evaluate("masks")).toThrow(
      "Expected objects with masks, to compare them by these, but none has one",
    );
  });
});

interface Golden extends GoldenDataset {
  annotations: { annotations: { area: number; iscrowd: number }[] };
  expected_masks: { stats: Record<string, number>; sizes: Record<string, { AP50: number }> };
}

describe("AP of masks by size equals pycocotools", () => {
  for (const golden of goldenDatasets<Golden>("coco-masks"))
    it(golden.name, () => {
      const { masks } = evaluationDetails(loadGolden(golden));
      const { stats, sizes } = golden.expected_masks;
      for (const { size, instances, AP, AP50, AR } of masks?.sizes ?? []) {
        const expected = [stats[`AP_${size}`], sizes[size].AP50, stats[`AR_${size}`]];
        for (const [i, figure] of [AP, AP50, AR].entries())
          expect(Math.abs((figure ?? -1) - expected[i]), `${size} ${i}`).toBeLessThan(1e-12);
        const [from, to] = { small: [0, 32], medium: [32, 96], large: [96, Infinity] }[size];
        const own = golden.annotations.annotations.filter(
          ({ area, iscrowd }) => iscrowd === 0 && (from === 0 || area > from ** 2) && area <= to ** 2,
        );
        expect(instances).toBe(own.length);
      }
      expect(masks?.sizes).toHaveLength(3);
    });
});
