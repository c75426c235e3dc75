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

it("says that AP is of boxes where there are masks", () => {
  const AP = { export: 0.25, ours: 0.5 };
  expect(lines({ AP }).get("AP")).toMatch(/^0\.25\d*; the weights: 0\.5/);
  expect(lines({ AP, min_mask_iou: 1, max_mask_logit_error: 0 }).get("AP")).toMatch(
    /^0\.25\d* of boxes; the weights: 0\.5/,
  );
  expect([...lines({ AP }).keys()]).toEqual(["boxes", "scores", "flips", "AP"]);
});
