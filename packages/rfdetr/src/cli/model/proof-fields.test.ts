import { expect, it } from "vitest";
import type { ExportProof } from "../../onnx/metadata.js";
import { predictField, proofFields } from "./proof-fields.js";

const proof: ExportProof = { images: 2, max_box_error_px: 0.01, max_score_error: 1e-5, flips: 0, threshold: 0.5 };
const lines = (more: Partial<ExportProof>) => new Map(proofFields({ ...proof, ...more }));

it("says that flips show nothing where no score reaches the threshold", () => {
  expect(lines({ best_score: 0.3125 }).get("flips")).toBe(
    "none, which shows nothing: no score reaches 0.5, the best is 0.31",
  );
  for (const more of [{}, { best_score: 0.5 }])
    expect(lines(more).get("flips")).toBe("0 queries on the other side of 0.5");
});

it("says what is compared, how many are within the tolerance, and why it passes", () => {
  const shown = lines({ queries: 1203, within: 1199, tolerance: { box_px: 1, score: 0.02 }, max_box_error_px: 5.2 });
  expect([...shown.keys()]).toEqual(["compared", "within", "boxes", "scores", "flips"]);
  expect(shown.get("compared")).toMatch(
    /^1,203 queries, each once, whose best class has a score of 0\.1 or more, at least the best 16 of an image$/,
  );
  expect(shown.get("within")).toMatch(/^1,199 of them, within 1 px and 0\.02 in score: it passes from 98 % on, since/);
  expect(shown.get("boxes")).toBe("off by 5.2 px in the worst of them");
  const masks = lines({ queries: 50, within: 50, tolerance: { box_px: 16, score: 0.3, mask: 0.4 } });
  expect(masks.get("within")).toMatch(/^50 of them, within 16 px, 0\.3 in score and IoU 0\.6 of masks: /);
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

it("says that predict runs the weights in another precision than the proof, and nothing where it is the same", () => {
  const [[name, ...text]] = predictField("bf16-mixed");
  expect([name, text.join("; ").replaceAll("\ufdd1", " ")]).toEqual([
    "predict",
    "runs the weights in bf16-mixed by default, as val does: detections near a threshold are others than the file's; --precision 32-true gives those of the proof, and rfdetr doctor --weights FILE --data DIR counts what changes",
  ]);
  expect(predictField("32-true")).toEqual([]);
});
