// Masks through the prediction thread, tiles, exported files and the command, on images of all kinds.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { noGrad, ops, scope } from "@rfdetr/torch";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RFDETR, Tracker } from "../dist/index.js";
import { sharp } from "../src/data/images/sharp.js";
import { fillModel } from "../src/instruments/peers/deterministic-fill.js";
import { fromCocoRuns, type Mask, maskArea, maskBox, maskIou, measureMask } from "../src/masks/index.js";
import { RFDETRModel } from "../src/model/rfdetr.js";
import { resolveModel } from "../src/model/variants.js";
import { Predictor } from "../src/predict/predict.js";
import { Rng } from "../src/support/random.js";
import { exportForTest } from "../src/testing/exported-detector.js";
import { trainedIn } from "../src/testing/trained-weights.js";
import { saveWeights } from "../src/weights/weights.js";

const folder = mkdtempSync(join(tmpdir(), "predict-masks-"));
const at = (name: string) => join(folder, name);
const entry = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const command = at("command.mjs");
const weights = at("seg-tiny.safetensors");
let detector: RFDETR;

beforeAll(async () => {
  writeFileSync(
    command,
    `import { main } from ${JSON.stringify(entry)};\nprocess.exitCode = await main(process.argv.slice(2));\n`,
  );
  const config = resolveModel("seg-tiny", { numClasses: 2 });
  const model = new RFDETRModel(config).eval();
  fillModel(model);
  // Without training no score is high.
  const bias = model.stateDict().get("class_embed.bias");
  if (bias !== undefined) noGrad(() => scope(() => void ops.add_(bias, bias.mul(0).add(6))));
  saveWeights(weights, model.stateDict(), { classNames: ["cat", "dog"], config, trained: trainedIn("32-true") });
  exportForTest(at("seg-tiny.onnx"), model, ["cat", "dog"]);
  const rng = new Rng("noise", 1);
  const noise = (width: number, height: number) => {
    const pixels = Uint8Array.from({ length: width * height * 3 }, () => rng.integer(0, 256));
    return sharp(pixels, { raw: { width, height, channels: 3 } });
  };
  await noise(1, 1).png().toFile(at("one.png"));
  await noise(3, 500).png().toFile(at("thin.png"));
  await noise(90, 60).jpeg().withMetadata({ orientation: 6 }).toFile(at("turned.jpg"));
  await noise(160, 120).png().toFile(at("plain.png"));
  detector = await RFDETR.load(weights, { precision: "32-true", device: "cpu" });
});
afterAll(async () => {
  await detector.dispose();
  rmSync(folder, { recursive: true });
});

const sizes = (found: readonly { mask?: Mask }[]) => [
  ...new Set(found.map(({ mask }) => `${mask?.width} × ${mask?.height}`)),
];

describe("detections of a model with masks", () => {
  it("have masks at the size of the image, however small or thin, turned upright unless told otherwise", async () => {
    for (const [name, size] of [
      ["one.png", "1 × 1"],
      ["thin.png", "3 × 500"],
      ["turned.jpg", "60 × 90"],
      ["plain.png", "160 × 120"],
    ]) {
      const found = await detector.predict(at(name));
      expect(found.length).toBeGreaterThan(5);
      expect(sizes(found)).toEqual([size]);
    }
    expect(sizes(await detector.predict(at("turned.jpg"), { autoOrient: false }))).toEqual(["90 × 60"]);
  });

  it("come out of the prediction thread as they are computed", async () => {
    const predictor = Predictor.load(weights, { precision: "32-true", device: "cpu" });
    const { detections } = await predictor.detect(at("plain.png"));
    predictor.dispose();
    expect(await detector.predict(at("plain.png"))).toEqual(detections);
    expect(await detector.predict([at("one.png"), at("plain.png")], { batch: 2 })).toHaveLength(2);
  });

  it("are none above the highest threshold", async () => {
    expect(await detector.predict(at("plain.png"), { threshold: 1 })).toEqual([]);
  });

  it("of tiles lie in their tile, in the whole image", async () => {
    const found = await detector.predict(at("plain.png"), { tiles: { size: 80, overlap: 0 }, maxDetections: 40 });
    expect(sizes(found)).toEqual(["160 × 120"]);
    for (const { box, mask } of found) {
      const around = maskBox(mask as Mask);
      if (around === null) continue;
      const left = box[0] < 80 ? 0 : 80;
      const top = box[1] < 80 ? 0 : 80;
      expect(around[0]).toBeGreaterThanOrEqual(left);
      expect(around[2]).toBeLessThanOrEqual(left + 80);
      expect(around[1]).toBeGreaterThanOrEqual(top);
      expect(around[3]).toBeLessThanOrEqual(Math.min(120, top + 80));
    }
  });

  it("keep their masks when they are followed", async () => {
    const found = await detector.predict(at("plain.png"));
    const followed = new Tracker().update(found);
    expect(followed.map(({ mask }) => mask)).toEqual(found.map(({ mask }) => mask));
  });

  it("are those of an exported file", async () => {
    const exported = await RFDETR.load(at("seg-tiny.onnx"));
    const [ours, theirs] = [await detector.predict(at("turned.jpg")), await exported.predict(at("turned.jpg"))];
    await exported.dispose();
    expect(theirs).toHaveLength(ours.length);
    for (const [i, { mask }] of ours.entries()) {
      const [one, other] = [mask, theirs[i].mask].map((each) => measureMask(each as Mask));
      if (one.area + other.area > 0) expect(maskIou(one, other)).toBeGreaterThan(0.999);
    }
  });

  it("are printed by the command, as COCO's runs", async () => {
    const words = ["predict", at("turned.jpg"), "--weights", weights, "--json", "--max-detections", "3"];
    const { stdout } = await promisify(execFile)(process.execPath, [command, ...words]);
    const [{ detections }] = JSON.parse(stdout).images;
    expect(detections).toHaveLength(3);
    for (const { mask } of detections) {
      expect(mask.size).toEqual([90, 60]);
      expect(maskArea(fromCocoRuns(mask) as Mask)).toBeGreaterThan(0);
    }
  });
});
