import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualSeed } from "@rfdetr/torch";
import { afterAll, expect, it } from "vitest";
import { RFDETRModel } from "../model/rfdetr.js";
import { resolveModel } from "../model/variants.js";
import { exportForTest } from "../testing/exported-detector.js";
import { OnnxModel } from "./onnx-model.js";

const folder = mkdtempSync(join(tmpdir(), "onnx-model-"));
afterAll(() => rmSync(folder, { recursive: true }));

it("an exported file whose weights were damaged is refused, since it does not give its goldens", async () => {
  manualSeed(0);
  const file = exportForTest(join(folder, "tiny.onnx"), new RFDETRModel(resolveModel("tiny", { numClasses: 2 })), [
    "cat",
    "dog",
  ]);
  await (await OnnxModel.open(file)).release();
  const bytes = readFileSync(file);
  // Weights are most of a file: every tenth of it, some of them get another exponent.
  for (let part = 1; part < 10; part++)
    for (let i = 0; i < 256; i++) bytes[Math.floor((bytes.length * part) / 10) + i] ^= 0x41;
  const damaged = join(folder, "damaged.onnx");
  writeFileSync(damaged, bytes);
  await expect(OnnxModel.open(damaged)).rejects.toMatchObject({
    code: "ERR_CHECKPOINT",
    message: expect.stringMatching(
      /damaged\.onnx but it cannot be used: Expected the results of its export but it gives others \((boxes .* off|not finite)\): it is damaged, or/,
    ),
  });
});
