import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualSeed } from "@rfdetr/torch";
import { afterAll, describe, expect, it } from "vitest";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel, variantOfClass, variants } from "../../model/variants.js";
import { readWeights } from "../weights.js";
import { classOfVariant, savePythonCheckpoint } from "./python-export.js";

const folder = mkdtempSync(join(tmpdir(), "python-export-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("weights written for the Python package", () => {
  it.each([
    ["tiny", {}],
    ["seg-tiny", {}],
    // Neither leaves a trace in the shapes of the weights.
    ["seg-tiny", { numWindows: 1, maskDownsampleRatio: 8 }],
  ])("read back as what they were: every tensor, classes, sizes of %s %o", (variant, sizes) => {
    manualSeed(0);
    const config = { ...resolveModel(variant), numClasses: 2, ...sizes };
    const model = new RFDETRModel(config);
    const path = join(folder, "best.pth");
    savePythonCheckpoint(path, model.stateDict(), { classNames: ["bee", "Käfer"], config, extra: { epoch: "4" } });
    const read = readWeights(path);
    expect(read.classNames).toEqual(["bee", "Käfer"]);
    expect(read.config).toEqual(config);
    expect([...read.tensors.keys()]).toEqual([...model.stateDict().keys()]);
    for (const [key, tensor] of model.stateDict())
      expect(read.tensors.get(key)?.sub(tensor).abs().sum().item(), key).toBe(0);
    for (const tensor of read.tensors.values()) tensor.dispose();
  });

  it("name the package's class", () => {
    expect(variants.map(classOfVariant)).toEqual(
      expect.arrayContaining(["RFDETRNano", "RFDETRSmall", "RFDETRMedium", "RFDETRBase", "RFDETRLarge"]),
    );
    for (const variant of variants) expect(variantOfClass(classOfVariant(variant))).toBe(variant);
    expect(["seg-nano", "seg-2xlarge", "xlarge"].map(classOfVariant)).toEqual([
      "RFDETRSegNano",
      "RFDETRSeg2XLarge",
      "RFDETRXLarge",
    ]);
  });
});
