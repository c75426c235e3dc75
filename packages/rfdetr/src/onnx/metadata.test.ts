import { describe, expect, it } from "vitest";
import { type ExportMetadata, metadataEntries, parseMetadata } from "./metadata.js";

const metadata: ExportMetadata = {
  variant: "nano",
  resolution: [384, 640],
  classNames: ["cat", "dog, large"],
  preprocessing: {
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
    resize: "bilinear",
    antialias: true,
    layout: "NCHW",
  },
  numSelect: 300,
  masks: [96, 160],
  precision: "fp16",
  trainingPrecision: "bf16-mixed",
  thresholds: { "*": 0.42, "dog, large": 0.3 },
  AP50: 0,
  version: "0.1.0",
  licence: "Apache-2.0",
  proof: { images: 8, max_box_error_px: 0.01, max_score_error: 0.001, flips: 0, threshold: 0.5 },
  goldens: {
    tolerance: { box_px: 0.5, score: 0.01 },
    cases: [{ seed: 1, queries: [{ class: 1, score: 0.5, box: [0.5, 0.5, 0.1, 0.2] }] }],
  },
};

describe("the metadata of an export", () => {
  it("are written as strings under rfdetr.* and read as they were", () => {
    const entries = metadataEntries(metadata);
    expect(entries).toMatchObject({
      "rfdetr.format": "1",
      "rfdetr.resolution": "[384,640]",
      "rfdetr.training_precision": "bf16-mixed",
      "rfdetr.ap50": "0",
    });
    expect(parseMetadata(entries)).toEqual(metadata);
    const nothing = { masks: null, trainingPrecision: null, thresholds: null, AP50: null, proof: null, goldens: null };
    const without = { ...metadata, ...nothing };
    expect(parseMetadata(metadataEntries(without))).toEqual(without);
  });

  it("are not there in a file of another program", () => {
    expect(parseMetadata({ author: "somebody" })).toBeNull();
  });

  it("are refused where they are damaged, or of a later format", () => {
    const entries = metadataEntries(metadata);
    expect(() => parseMetadata({ ...entries, "rfdetr.format": "2" })).toThrow(/later version/);
    expect(() => parseMetadata({ ...entries, "rfdetr.resolution": "[384" })).toThrow(/rfdetr\.resolution/);
    expect(() => parseMetadata({ ...entries, "rfdetr.num_select": "-1" })).toThrow(/rfdetr\.num_select/);
    for (const thresholds of ["0.4", '{"cat":0.4}', '{"*":0.4,"cat":2}', '{"*":"0.4"}'])
      expect(() => parseMetadata({ ...entries, "rfdetr.thresholds": thresholds })).toThrow(/rfdetr\.thresholds/);
    for (const ap50 of ["-1", "2", '"0.5"'])
      expect(() => parseMetadata({ ...entries, "rfdetr.ap50": ap50 })).toThrow(/rfdetr\.ap50/);
    const { "rfdetr.variant": _, ...rest } = entries;
    expect(() => parseMetadata(rest)).toThrow("rfdetr.variant");
  });
});
