// Files in low precision as a whole, of a tiny model.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { synthesize } from "../../data/synth/synth.js";
import { emojiClasses } from "../../data/synth/synth-sprites.js";
import { fillModel } from "../../instruments/peers/deterministic-fill.js";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { OnnxModel } from "../../onnx/onnx-model.js";
import { saveWeights } from "../../weights/weights.js";
import { type ExportOptions, exportOnnx } from "../export-onnx.js";
import { whyFloat32 } from "./precise-graph.js";

const classNames = emojiClasses.slice(0, 2);
const config = resolveModel("tiny", { numClasses: 2 });

describe("an export in low precision", () => {
  let folder: string;
  let weights: string;
  let data: string;
  let made = 0;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "precise-graph-"));
    weights = join(folder, "tiny.safetensors");
    data = join(folder, "data");
    const model = new RFDETRModel(config).eval();
    fillModel(model);
    saveWeights(weights, model.stateDict(), { classNames, config });
    await synthesize(data, { images: 12, size: 64, classes: 2 });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  async function exported(options: Partial<ExportOptions>) {
    const out = join(folder, `${made++}.onnx`);
    return await exportOnnx({ weights, out, precision: "fp32", batch: 1, ...options });
  }

  it.each([
    ["fp16", "dynamic", false],
    ["int8", "dynamic", true],
    ["int8", 2, false],
  ] as const)(
    "%s for batch %s, with GridSample: %s, passes its proof and is smaller",
    async (precision, batch, gridSample) => {
      const single = await exported({ batch, gridSample });
      const low = await exported({ precision, batch, gridSample, data });
      expect(low.bytes / single.bytes).toBeLessThan(0.75);
      expect(low).toMatchObject({ precision, islands: [], drift: null, proof: { flips: 0 } });
      const { description } = await OnnxModel.open(low.out);
      expect(description).toMatchObject({ precision, batch: batch === "dynamic" ? null : batch });
    },
  );

  it("in bfloat16 is refused, because no runtime here reads one", async () => {
    const precision = "bf16" as "fp16";
    await expect(exported({ precision })).rejects.toThrow(
      "Expected fp32, fp16 or int8 for precision but received bf16: onnxruntime multiplies no bfloat16 matrices",
    );
  });
});

describe("why a part stays float32 in an int8 file", () => {
  it("is the detections that it flips alone, or what it does to scores where it flips none", () => {
    expect(whyFloat32({ flips: 3, score: 0.01 })).toBe(
      "int8 throughout flips too many detections of the calibration images; this part alone flips 3",
    );
    expect(whyFloat32({ flips: 0, score: 0.01234 })).toBe(
      "int8 throughout flips too many detections of the calibration images; this part moves scores by 0.012 on average, alone",
    );
  });
});
