import { describe, expect, it } from "vitest";
import { encodeMask, fromCocoRuns, type Mask, toCocoRuns } from "../masks/index.js";
import { resizeMask } from "../masks/segments.js";
import type { ScoredBoxes } from "../model/images/postprocess.js";
import type { EvaluationBatch } from "./batch.js";
import { relabel } from "./class-map.js";
import { CocoEvaluator } from "./coco/coco.js";
import { checkScored, scoredImage, scoreImage } from "./scored-split.js";

/** The left columns of an image of 8 × 8 pixels. */
const columns = (count: number): Mask =>
  encodeMask(
    Uint8Array.from({ length: 64 }, (_, i) => (i % 8 < count ? 1 : 0)),
    8,
    8,
  );

function batchWith(masks?: Mask[]): EvaluationBatch {
  const truth = { boxes: Float32Array.of(0, 0, 4, 8), labels: Int32Array.of(1) };
  return {
    images: new Uint8Array(8 * 8 * 3),
    height: 8,
    width: 8,
    imageIds: [7],
    origSizes: [[8, 8]],
    truths: [masks === undefined ? truth : { ...truth, masks }],
  };
}

const found = (masks?: Mask[]): ScoredBoxes => ({
  boxes: Float32Array.of(0, 0, 4, 8, 0, 0, 2, 8, 0, 0, 1, 1),
  scores: Float32Array.of(0.9, Number.NaN, 0.5),
  labels: Int32Array.of(1, 1, 0),
  ...(masks === undefined ? {} : { masks }),
});

describe("detections that are not finite", () => {
  const evaluator = new CocoEvaluator({ classNames: ["a", "b"] });
  scoreImage(evaluator, batchWith(), 0, found(), (each) => each);
  const check = (precision: string) => () =>
    checkScored(evaluator, "w.safetensors", precision, { data: "d", split: "valid", batch: 1 });

  it("are the fault of the precision where another has a larger range, which the hint names", () => {
    const hintOf = (precision: string, format?: string) => {
      try {
        checkScored(evaluator, "w.safetensors", precision, { data: "d", split: "valid", batch: 1 }, format);
      } catch (error) {
        return (error as { hint?: string }).hint;
      }
    };
    expect(hintOf("16-mixed")).toBe("Take `precision` 32-true or bf16-mixed, which have a larger range");
    for (const precision of ["bf16-mixed", "tf32", "32-true", "fp32"]) expect(hintOf(precision)).toBeUndefined();
    expect(check("bf16-mixed")).toThrow("its weights are damaged, or overflow in float32, whose range bf16-mixed has");
    expect(hintOf("fp16")).toBe("Export it in fp32");
    expect(hintOf("32-true", "fp8")).toBe("Take `number_format` none, which emulates no format");
    expect(check("16-mixed")).toThrow("1 detection of w.safetensors is not finite: the model overflows in 16-mixed");
    expect(check("32-true")).toThrow(
      "1 detection of w.safetensors is not finite: its weights are damaged, or overflow in float32",
    );
  });
});

describe("an image that is scored", () => {
  const three = [columns(2), columns(8), columns(1)];

  it("has the overlaps of its masks in their place, of the detections that are finite", () => {
    const { image, dropped } = scoredImage(batchWith([columns(4)]), 0, found(three), (each) => each);
    expect(dropped).toBe(1);
    expect(image.compared).toEqual({
      truthAreas: [32],
      detections: [
        { area: 16, truths: [0], shared: [16] },
        { area: 8, truths: [0], shared: [8] },
      ],
    });
    expect([image.gt.masks, image.detections.masks]).toEqual([undefined, undefined]);
  });

  it("compares the masks of the detections that have a class of the data", () => {
    const map = Int32Array.of(1, -1);
    const { image } = scoredImage(batchWith([columns(4)]), 0, found(three), (each) => relabel(each, map));
    expect([...image.detections.labels]).toEqual([1]);
    expect(image.compared?.detections).toEqual([{ area: 8, truths: [0], shared: [8] }]);
  });

  it("keeps masks for its picture: of the truth and of the best detections, coarse in large images", () => {
    const scores = { scores: Float32Array.of(0.9, 0.01, 0.5) };
    const score = (batch: EvaluationBatch, masks: Mask[]) =>
      scoredImage(batch, 0, { ...found(masks), ...scores }, (each) => each).image.shownMasks;
    const shown = score(batchWith([columns(4)]), three);
    expect(shown?.truths).toEqual([{ label: 1, mask: toCocoRuns(columns(4)) }]);
    expect(shown?.detections).toEqual([
      { label: 1, mask: toCocoRuns(columns(2)) },
      { label: 1 },
      { label: 0, mask: toCocoRuns(columns(1)) },
    ]);
    const large = resizeMask(columns(4), 960, 960);
    const coarse = score(batchWith([large]), [large, large, large]);
    expect(fromCocoRuns(coarse?.truths[0].mask)).toEqual(resizeMask(columns(4), 480, 480));
    expect(scoredImage(batchWith(), 0, found(three), (each) => each).image.shownMasks).toBeUndefined();
  });

  it("is scored by boxes alone where only one side has masks", () => {
    for (const [truths, detections] of [
      [undefined, three],
      [[columns(4)], undefined],
      [undefined, undefined],
    ])
      expect(scoredImage(batchWith(truths), 0, found(detections), (each) => each).image).not.toHaveProperty("compared");
  });

  it("can be sent to another process in few bytes", () => {
    const { image } = scoredImage(batchWith([columns(4)]), 0, found(three), (each) => each);
    expect(structuredClone(image)).toEqual(image);
  });
});
