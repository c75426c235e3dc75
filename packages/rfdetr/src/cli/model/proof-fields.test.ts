import { expect, it } from "vitest";
import type { ExportProof } from "../../onnx/metadata.js";
import { proofFields } from "./proof-fields.js";

const proof: ExportProof = { images: 2, max_box_error_px: 0.01, max_score_error: 1e-5, flips: 0, threshold: 0.5 };
const lines = (more: Partial<ExportProof>) => new Map(proofFields({ ...proof, ...more }));

it("says that flips show nothing where no score reaches the threshold", () => {
  expect(lines({ best_score: 0.3125 }).get("flips")).toBe(
    "none, which shows nothing: no score reaches 0.5, the best is 0.31",
  );
  for (const more of [{}, { best_score: 0.5 }])
    expect(lines(more).get("flips")).toBe("0 detections on the other side of 0.5");
});

it("has AP of masks before that of boxes where there are masks", () => {
  const [AP, mask_AP] = [
    { export: 0.25, ours: 0.5 },
    { export: 0.125, ours: 0.375 },
  ];
  expect([...lines({ AP }).keys()]).toEqual(["boxes", "scores", "flips", "AP"]);
  expect(lines({ AP }).get("AP")).toMatch(/^0\.25\d*; the weights, in float32: 0\.50*$/);
  const masks = { min_mask_iou: 1, max_mask_logit_error: 0 };
  const shown = lines({ AP, mask_AP, ...masks });
  expect([...shown.keys()]).toEqual(["boxes", "scores", "masks", "flips", "mask AP", "box AP"]);
  expect(shown.get("mask AP")).toMatch(/^0\.125; the weights, in float32: 0\.375$/);
  expect(shown.get("box AP")).toMatch(/^0\.25\d*; the weights, in float32: 0\.50*$/);
  // Files of earlier versions have no AP of masks.
  expect([...lines({ AP, ...masks }).keys()]).toEqual(["boxes", "scores", "masks", "flips", "box AP"]);
});

it("shows no figure where the images have no objects", () => {
  expect(lines({ AP: { export: -1, ours: -1 } }).get("AP")).toBe("–; the weights, in float32: –");
});
