// Prediction and evaluation see the same pixels and find the same boxes.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualSeed, scope } from "@rfdetr/torch";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CocoEvaluator } from "../src/eval/coco/coco.js";
import { evaluateWeights } from "../src/eval/evaluate-weights.js";
import { openEvaluationData } from "../src/eval/evaluation-data.js";
import { RFDETRModel } from "../src/model/rfdetr.js";
import { resolveModel } from "../src/model/variants.js";
import { decode } from "../src/pictures/picture.js";
import { Predictor } from "../src/predict/predict.js";
import { saveWeights } from "../src/weights/weights.js";

const config = resolveModel("tiny", { numClasses: 2 });
const classNames = ["cat", "dog"];
let folder: string;
let weights: string;
let predictor: Predictor;
/** In the order of the annotation file. */
const files: string[] = [];
/** The three best detections of each image: what is annotated. */
const truths: { box: number[]; classId: number }[][] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "agree-"));
  weights = join(folder, "tiny.safetensors");
  manualSeed(3);
  saveWeights(weights, scope(() => new RFDETRModel(config)).stateDict(), { classNames, config });
  predictor = Predictor.load(weights, { precision: "32-true", device: "cpu" });
  mkdirSync(join(folder, "valid"));
  const images: object[] = [];
  const annotations: object[] = [];
  for (const [i, ending] of ["jpg", "png", "webp", "tiff", "jpg", "png"].entries()) {
    const [width, height] = [300 + 40 * i, 420 - 50 * i];
    const noise = { type: "gaussian", mean: 100 + 10 * i, sigma: 80 } as const;
    const file = join(folder, "valid", `${i}.${ending}`);
    const picture = sharp({ create: { width, height, channels: 3, background: "#000", noise } });
    // The first is stored on its side.
    await (i === 0 ? picture.withMetadata({ orientation: 6 }) : picture).toFile(file);
    files.push(file);
    const found = await predictor.detect(file, { threshold: 0 });
    images.push({ id: i + 1, file_name: `${i}.${ending}`, width: found.width, height: found.height });
    truths.push(found.detections.filter(({ classId }) => classId < 2).slice(0, 3));
    for (const { box, classId } of truths[i]) {
      const [x1, y1, x2, y2] = box;
      const bbox = [x1, y1, x2 - x1, y2 - y1];
      const id = annotations.length + 1;
      annotations.push({ id, image_id: i + 1, category_id: classId, bbox, area: bbox[2] * bbox[3], iscrowd: 0 });
    }
  }
  const categories = classNames.map((name, id) => ({ id, name, supercategory: "none" }));
  writeFileSync(join(folder, "valid", "_annotations.coco.json"), JSON.stringify({ images, annotations, categories }));
});
afterAll(() => rmSync(folder, { recursive: true }));

// What is annotated was found with antialias, so that without it little is right.
describe.each([
  [true, 0.1],
  [false, 0.001],
])("with antialias %s, predict and val", (antialias, least) => {
  it("see the same pixels, to the bit", async () => {
    const data = await openEvaluationData(folder, "valid", config.resolution, 4, { antialias });
    let at = 0;
    for await (const { images, origSizes } of data.batches()) {
      const length = images.length / origSizes.length;
      for (const [i, size] of origSizes.entries()) {
        const square = predictor.toSquare(await decode(files[at++]), { antialias });
        expect([square.height, square.width]).toEqual(size);
        expect(Buffer.from(square.pixels.slice().buffer)).toEqual(
          Buffer.from(images.slice(i * length, (i + 1) * length).buffer),
        );
      }
    }
    expect(at).toBe(files.length);
  });

  it("have the same average precision", async () => {
    const options = { data: folder, split: "valid", batch: 4, precision: "32-true", device: "cpu" } as const;
    const { summary } = await evaluateWeights(weights, { ...options, antialias });
    const evaluator = new CocoEvaluator({ classNames, maxDets: [1, 10, 100] });
    for (const [i, file] of files.entries()) {
      const { width, height, detections } = await predictor.detect(file, { threshold: 0, antialias });
      const known = detections.filter(({ classId }) => classId < 2);
      evaluator.addImage({
        id: i + 1,
        width,
        height,
        gt: {
          boxes: Float32Array.from(truths[i].flatMap(({ box }) => box)),
          labels: Int32Array.from(truths[i], ({ classId }) => classId),
        },
        detections: {
          boxes: Float32Array.from(known.flatMap(({ box }) => box)),
          scores: Float32Array.from(known, ({ score }) => score),
          labels: Int32Array.from(known, ({ classId }) => classId),
        },
      });
    }
    const own = evaluator.summarize();
    expect(summary.AP).toBeGreaterThan(least);
    expect(Math.abs((own.AP as number) - (summary.AP as number))).toBeLessThan(0.005);
  });
});
