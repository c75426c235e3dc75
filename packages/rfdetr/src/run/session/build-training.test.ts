import { describe, expect, it } from "vitest";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { resolveSettings } from "../../settings/resolve.js";
import { readyModel } from "./build-training.js";

describe("readyModel", () => {
  const ready = (freeze: string[]) =>
    readyModel(
      new RFDETRModel(resolveModel("tiny", { numClasses: 2 })),
      resolveSettings({ datasetDir: "-", model: "tiny", backboneLora: true, freeze }),
      "cpu",
    );

  it("refuses to freeze the adapters that it adds", () => {
    expect(() => ready(["backbone.*"])).toThrow(
      "Expected adapters that are trained for backbone_lora but backbone.* of freeze matches all of them",
    );
    expect(ready(["transformer.decoder"])).toMatch(/adapters with .* Frozen are/);
  });
});
