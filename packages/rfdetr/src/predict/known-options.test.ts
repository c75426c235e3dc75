import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { RFDETRModel } from "../model/rfdetr.js";
import { resolveModel } from "../model/variants.js";
import { exportForTest } from "../testing/exported-detector.js";
import { saveWeights } from "../weights/weights.js";
import { evaluatedAP50 } from "./known-options.js";
import { Predictor } from "./predict.js";

const folder = mkdtempSync(join(tmpdir(), "evaluated-"));
afterAll(() => rmSync(folder, { recursive: true }));

it("AP50 of the training is known of weights and of exported files, of masks where there are some", async () => {
  const config = resolveModel("tiny", { numClasses: 1 });
  const model = new RFDETRModel(config);
  const saved = (name: string, extra: Record<string, string>): string => {
    const path = join(folder, `${name}.safetensors`);
    saveWeights(path, model.stateDict(), { classNames: ["cat"], config, extra });
    return path;
  };
  expect(await evaluatedAP50(saved("boxes", { AP50: "0" }))).toBe(0);
  expect(await evaluatedAP50(saved("masks", { AP50: "0.5", mask_AP50: "0.25" }))).toBe(0.25);
  expect(await evaluatedAP50(saved("none", { AP50: "null" }))).toBe(null);
  expect(await evaluatedAP50(saved("other", {}))).toBe(null);
  for (const AP50 of [0, 0.5, null])
    expect(await evaluatedAP50(exportForTest(join(folder, `${AP50}.onnx`), model, ["cat"], { AP50 }))).toBe(AP50);
});

it("a predictor takes recorded thresholds by name, and refuses them of a model without", async () => {
  const config = resolveModel("tiny", { numClasses: 2 });
  const [classNames, precision, device] = [["cat", "dog"], "32-true", "cpu"] as const;
  const known = { classNames, precision, device };
  const model = new RFDETRModel(config);
  const image = { data: new Uint8Array(64 * 64 * 3).fill(120), width: 64, height: 64, channels: 3 } as const;
  const predictor = new Predictor(model, { ...known, thresholds: { "*": 1, dog: 0 } });
  const all = await predictor.detect(image, { threshold: "best-by-class" });
  expect(all).toEqual(await predictor.detect(image, { threshold: { "*": 1, dog: 0 } }));
  expect((await predictor.detect(image, { threshold: "best" })).detections).toEqual([]);
  await expect(new Predictor(model, known).detect(image, { threshold: "best" })).rejects.toThrow(
    'Expected weights with a recorded threshold for threshold "best" but the model has none: ',
  );
});
