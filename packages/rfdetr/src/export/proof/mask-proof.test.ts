// The figures of masks in the proof of an export, in the drift table, and in `val`: the same ones.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noGrad, ops, scope, type Tensor } from "@rfdetr/torch";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { synthesize } from "../../data/synth/synth.js";
import { emojiClasses } from "../../data/synth/synth-sprites.js";
import { evaluateWeights } from "../../eval/evaluate-weights.js";
import { fillModel } from "../../instruments/peers/deterministic-fill.js";
import { toCocoRuns } from "../../masks/coco-runs.js";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { selectBoxes } from "../../onnx/detections.js";
import { evaluateOnnx } from "../../onnx/evaluate-onnx.js";
import { OnnxModel } from "../../onnx/onnx-model.js";
import { annotationsOf } from "../../testing/dataset-files.js";
import { trainedIn } from "../../testing/trained-weights.js";
import { saveWeights } from "../../weights/weights.js";
import { type ExportResult, exportOnnx } from "../export-onnx.js";
import { driftText } from "../precision/drift-text.js";
import { proofImages } from "./proof-images.js";
import { OwnOutputs } from "./prove.js";

const classNames = emojiClasses.slice(0, 2);
const config = resolveModel("seg-tiny", { numClasses: 2 });
let folder: string;
let [weights, data, out] = ["", "", ""];
let result: ExportResult;

/** Makes the best mask of each image its only object, with a box that is elsewhere: by boxes nothing is right. */
async function annotateWithMasks(model: RFDETRModel): Promise<void> {
  const split = { data, split: "valid", masks: true } as const;
  const images = await proofImages(split, classNames, [config.resolution, config.resolution], 1);
  const own = new OwnOutputs(model);
  const annotations: object[] = [];
  for await (const batch of images.batches()) {
    const [[height, width]] = batch.origSizes;
    const { masks = [], labels } = selectBoxes(own.of(batch)[0], { height, width }, 20);
    // The last row of the head is no class.
    const best = labels.findIndex((label) => label < classNames.length);
    const segmentation = toCocoRuns(masks[best]);
    const object = { image_id: batch.imageIds[0], category_id: labels[best] + 1, bbox: [0, 0, 2, 2], segmentation };
    annotations.push({ id: annotations.length + 1, area: 900, iscrowd: 0, ...object });
  }
  const file = annotationsOf(data, "valid");
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), annotations }));
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "mask-proof-"));
  [weights, data, out] = ["seg.safetensors", "data", "seg.onnx"].map((name) => join(folder, name));
  const model = new RFDETRModel(config).eval();
  fillModel(model);
  // Scores as of detections.
  noGrad(() => scope(() => void ops.add_(model.classEmbed.bias as Tensor, 4.6)));
  saveWeights(weights, model.stateDict(), { classNames, config, trained: trainedIn("bf16-mixed") });
  await synthesize(data, { images: 12, size: 64, classes: 2 });
  await annotateWithMasks(model);
  result = await exportOnnx({ weights, data, out, batch: 1, precision: "fp32", report: true });
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

describe("the proof of a model with masks", () => {
  it("has average precision of masks and of boxes on both sides, as `val` has them", async () => {
    const asked = { data, split: "valid", batch: 1 } as const;
    const own = await evaluateWeights(weights, { ...asked, precision: "32-true", device: "cpu" });
    const file = await evaluateOnnx(out, asked);
    const [ours, theirs] = [own.summary, file.summary];
    expect(ours.masks?.AP).toBeGreaterThan(0.5);
    expect(ours.AP).toBeLessThan(0.1);
    expect(result.proof?.mask_AP).toEqual({ ours: ours.masks?.AP, export: theirs.masks?.AP });
    expect(result.proof?.AP).toEqual({ ours: ours.AP, export: theirs.AP });
  });

  it("is kept in the file", async () => {
    const file = await OnnxModel.open(out);
    expect(file.description.proof).toEqual(result.proof);
    await file.release();
  });
});

describe("the drift of a model with masks", () => {
  it("has average precision of masks for each form", () => {
    const { forms } = result.drift as NonNullable<ExportResult["drift"]>;
    const [own, , single] = forms;
    expect(own.mask_AP).toBe(result.proof?.mask_AP?.ours);
    expect(single.mask_AP).toBe(result.proof?.mask_AP?.export);
    for (const { mask_AP: AP } of forms) expect(AP).toBeGreaterThan(0);
    const text = driftText(result.drift as NonNullable<ExportResult["drift"]>);
    const shown = (own.mask_AP as number).toFixed(4);
    expect(text).toMatch(new RegExp(`^form +IoU min +IoU mean +mask AP\\nlibtorch float32 +${shown}$`, "m"));
  });
});
