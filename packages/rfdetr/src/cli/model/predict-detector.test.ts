import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { exportForTest } from "../../testing/exported-detector.js";
import { saveWeights } from "../../weights/weights.js";
import { evaluatedAP50 } from "./predict-detector.js";

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
