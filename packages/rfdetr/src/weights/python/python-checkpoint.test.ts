import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { savePth, scope } from "@rfdetr/torch";
import { afterAll, describe, expect, it } from "vitest";
import { cocoClasses } from "../../model/coco-classes.js";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { readWeights } from "../weights.js";

const folder = mkdtempSync(join(tmpdir(), "python-checkpoint-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("checkpoints of the Python package", () => {
  it("that hold other things than RF-DETR are refused, with what is missing", () => {
    const other = fileURLToPath(new URL("../../../../torch/src/pth/fixtures/small.pth", import.meta.url));
    expect(() => readWeights(other)).toThrow(
      /Expected the weights of RF-DETR in .*small\.pth but class_embed, refpoint_embed or position_embeddings are missing/,
    );
  });
  it("with anything but texts in our own table are refused", () => {
    const path = join(folder, "foreign.pth");
    const config = resolveModel("tiny", { numClasses: 1 });
    const model = scope(() => new RFDETRModel(config)).stateDict();
    savePth(path, { model, args: { class_names: ["bee"] }, rfdetr_ts_metadata: { epoch: 3 } });
    expect(() => readWeights(path)).toThrow(/^Expected a table of texts for rfdetr_ts_metadata in .*foreign\.pth$/);
  });
  it("that are none are refused by name", () => {
    const path = join(folder, "x.pth");
    writeFileSync(path, "nothing of the kind");
    expect(() => readWeights(path)).toThrow(/x\.pth cannot be read: .* is neither a zip archive nor/);
    expect(() => readWeights(join(folder, "x.bin"))).toThrow(/Expected a \.safetensors, \.pth, \.pt or \.ckpt file/);
  });
  it("of COCO name their classes by category id", () => {
    expect([cocoClasses.length, cocoClasses.filter((name) => name !== "unused").length]).toEqual([91, 80]);
    expect([1, 13, 44, 67, 90].map((id) => cocoClasses[id])).toEqual([
      "person",
      "stop sign",
      "bottle",
      "dining table",
      "toothbrush",
    ]);
  });
});
