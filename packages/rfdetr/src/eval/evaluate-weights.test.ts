import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualSeed, ops } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { openDataset, synthesize } from "../data/index.js";
import { RFDETRModel } from "../model/rfdetr.js";
import { resolveModel } from "../model/variants.js";
import { saveWeights } from "../weights/weights.js";
import { evaluateWeights } from "./evaluate-weights.js";

describe("weights that are not finite", () => {
  it("have no figures: the error names the file and the weight", async () => {
    const folder = mkdtempSync(join(tmpdir(), "not-finite-"));
    const data = join(folder, "data");
    await synthesize(data, { images: 8, size: 64, classes: 2, seed: 1 });
    const { classNames } = openDataset(data, "train");
    const config = resolveModel("tiny", { numClasses: 2 });
    manualSeed(1);
    const model = new RFDETRModel(config);
    const weights = model.stateDict();
    const name = "class_embed.bias";
    ops.fill_(weights.get(name)?.detach() as never, Number.NaN);
    const path = join(folder, "w.safetensors");
    saveWeights(path, weights, { classNames: [...classNames], config });
    await expect(
      evaluateWeights(path, { data, split: "valid", batch: 2, precision: "32-true", device: "cpu" }),
    ).rejects.toMatchObject({
      code: "ERR_CHECKPOINT",
      message: expect.stringMatching(
        /finite weights in .*w\.safetensors but 1 of its \d+ tensors .*: class_embed\.bias/,
      ),
    });
  });
});
