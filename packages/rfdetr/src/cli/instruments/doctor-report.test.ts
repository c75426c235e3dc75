import { Writable } from "node:stream";
import { autoTable, type Calibration, type Precision } from "@rfdetr/amp";
import { describe, expect, it } from "vitest";
import type { EvaluatedMode } from "../../instruments/precision/compare-evaluations.js";
import type { MemoryPrice } from "../../train/measure/calibrate-step.js";
import { Console } from "../console/console.js";
import { evaluation, obsolete, onImages, reported, slowerPrediction, verdict } from "./doctor-evaluation.js";
import {
  advice,
  formatsVerdict,
  otherChoices,
  precisions,
  remarks,
  sparedIn,
  sparesNothing,
  worstModules,
  written,
} from "./doctor-report.js";

type Row = Calibration["precisions"][number];
const row = (precision: Precision, speedup: number, memory_ratio: number, nonfinite = false) =>
  ({ precision, speedup, speedup_range: [speedup, speedup], memory_ratio, nonfinite }) as unknown as Row;
const byDefault = (precision: Precision) => ({ precision, reason: "the table says so" });
const measured = (precision: Precision, ...precisions: Row[]): Calibration => ({
  exact: { loss: 1, gradient_norm: 1 },
  precisions: [row("32-true", 1, 1), ...precisions],
  formats: [],
  recommended: { precision, reason: "measured here", undecided: false },
});

const from = { threshold: 0.26, from: "--threshold" };
const changed = (of: Partial<EvaluatedMode["at_threshold"]>): EvaluatedMode["at_threshold"] => ({
  ...{ threshold: 0.26, reference: 31, found: 30, only_reference: 0, only_found: 0, highest_score: 0.302, images: [] },
  ...of,
});

/** What is printed on a console that is no terminal. */
function printed(print: (console: Console) => void): string {
  let text = "";
  const out = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  print(new Console({}, { out }));
  return text;
}

describe("the tables of the doctor", () => {
  it("say what is not in the step: a step of a run has the optimizer, moments and the average too", () => {
    const text = printed((console) => precisions(console, "tiny on 2 images", { precisions: [] }, false));
    expect(text).toContain("One training step of tiny on 2 images, without the optimizer, errors against float64:");
    expect(text).toContain("tensors: at the peak of the step, without moments and average");
  });

  it("say which share of the ranks of the query selection is normal, where some are others", () => {
    const of = (same: number) => {
      const errors = { step_seconds: 1, peak_tensor_bytes: 1, loss_error: 0, gradient_cosine: 0.9982, modules: [] };
      const choices = [{ path: "transformer.query_selection", operator: "topk", places: 100, same }];
      const measured = { ...row("bf16-mixed", 1, 1), ...errors, rounding_cosine: 0.99998, underflow_share: 0, choices };
      return printed((console) => precisions(console, "tiny", { precisions: [measured] }, false));
    };
    expect(of(86)).toMatch(/70 to 90 % are normal in bf16-mixed with trained weights.*\n.*86 % of the ranks/);
    expect(of(86)).toMatch(/ 0\.99820 {2,}0\.99998 /);
    expect(of(100)).not.toContain("normal");
  });

  it("say which images were evaluated", () => {
    expect(onImages({ images: 48, of: 83 })).toContain("on 48 of 83 images of valid");
    expect(onImages({ images: 12, of: 12 })).toBe("on all 12 images of valid");
  });

  it("spare memory in what training takes by default, or in what is recommended where it takes that", () => {
    const byDefault = { precision: "bf16-mixed", why: "which training takes by default" };
    const recommended = { precision: "32-true", why: "which is recommended" };
    const slow = measured("32-true", row("bf16-mixed", 0.8, 0.7));
    expect(sparedIn(slow, "bf16-mixed", false)).toEqual(byDefault);
    expect(sparedIn(slow, "bf16-mixed", true)).toEqual(recommended);
    expect(sparedIn(measured("32-true", row("bf16-mixed", 2, 0.7, true)), "bf16-mixed", false)).toEqual(recommended);
    expect(sparedIn(measured("bf16-mixed", row("bf16-mixed", 2, 0.7)), "bf16-mixed", true)).toEqual(byDefault);
  });

  it("mark float16 that is emulated, and give errors in percent", () => {
    const of = { ...row("16-mixed", 0.3, 1.3), scale: 1024, modules: [{ path: "head", relative_error: 0.541 }] } as Row;
    expect(remarks(of, true)).toBe("scale 1024; emulated on this CPU: slow, and saves no memory");
    expect(remarks(of, false)).toBe("scale 1024");
    expect(remarks({ ...of, precision: "bf16-mixed", scale: 1 }, true)).toBe("");
    expect(worstModules({ name: of.precision, modules: of.modules })).toBe(
      "16-mixed, largest errors of modules, in percent of their output: head 54 %",
    );
  });

  it("show the worst of the modules that predict masks, wherever it stands", () => {
    const errors = ["a", "b", "c", "d", "segmentation_head.blocks.0", "segmentation_head.bias"];
    const modules = errors.map((path, i) => ({ path, relative_error: 0.5 / (i + 1), amax: 1 }));
    const shown = "bf16-mixed, largest errors of modules, in percent of their output: a 50 %, b 25 %, c 17 %";
    expect(worstModules({ name: "bf16-mixed", modules })).toBe(`${shown}, segmentation_head.blocks.0 10 %`);
    expect(worstModules({ name: "bf16-mixed", modules: modules.slice(0, 4) })).toBe(shown);
    const first = modules.slice(4);
    expect(worstModules({ name: "int8", modules: first }).match(/segmentation_head/g)).toHaveLength(2);
  });

  it("say of masks what converting the whole model does to them", () => {
    const dtypes = { fp32: "float32", autocast: "bfloat16", fp16_eval: "float16" } as const;
    const mode = (name: EvaluatedMode["mode"], box: number, mean?: number) =>
      ({
        mode: name,
        dtype: { ...dtypes, whole_model_half: "float16", whole_model_bfloat16: "bfloat16" }[name],
        box_error_px: box,
        norm_error: { median: 0.5 },
        nonfinite_images: 0,
        ...(mean && { mask_iou: { mean, least: 0 } }),
      }) as EvaluatedMode;
    expect(verdict([mode("fp16_eval", 1, 0.75), mode("whole_model_half", 2, 0.5)], "float16")).toBe(
      "Converting the whole model to float16: boxes are off by 2.0 px, norms by 0.50, and masks overlap by 0.5000; under float16 autocast boxes are off by 1.0 px, norms by 0.50, and masks overlap by 0.7500",
    );
    const rows = [mode("fp16_eval", 1), mode("whole_model_half", 2), mode("whole_model_bfloat16", 4)];
    expect(verdict(rows, "float16")).toBe(
      "Converting the whole model to float16: boxes are off by 2.0 px and norms by 0.50; under float16 autocast boxes are off by 1.0 px and norms by 0.50",
    );
    // Where training is in float16 there is no autocast in bfloat16 to compare with.
    expect(verdict(rows, "bfloat16")).toBe(null);
    expect(verdict([mode("autocast", 3), ...rows], "bfloat16")).toBe(
      "Converting the whole model to bfloat16: boxes are off by 4.0 px and norms by 0.50; under bfloat16 autocast boxes are off by 3.0 px and norms by 0.50",
    );
  });

  it("name the dtype of each way to evaluate, and tell weights from their copies", () => {
    const of = (mode: EvaluatedMode["mode"], dtype: EvaluatedMode["dtype"], copies: number): EvaluatedMode => ({
      ...{ mode, dtype, precision: mode === "autocast" ? "bf16-mixed" : "32-true", speedup: 1, speedup_range: [1, 1] },
      ...{ box_error_px: 0, box_error_max_px: 0, score_error: 0, score_error_max: 0.0877, lost_share: 0 },
      at_threshold: changed({ only_reference: 4, only_found: 3 }),
      ...{ nonfinite_images: 0, AP: null, AP50: null, milliseconds: 1, emulated: false, modules: [] },
      ...{ norm_error: { largest: 0, median: 0, module: null }, weight_bytes: 4 * 2 ** 20, copy_bytes: copies },
    });
    const rows = [
      of("fp32", "float32", 3 * 2 ** 20),
      of("autocast", "bfloat16", 2 ** 20),
      of("fp16_eval", "float16", 2 ** 20),
      of("whole_model_half", "float16", 0),
      of("whole_model_bfloat16", "bfloat16", 0),
    ];
    const shown = { seen: null, byDefault: "bf16-mixed" as const, from };
    const text = printed((console) => evaluation(console, rows, { trained: true, ...shown }));
    const [head = "", first = "", ...others] = text.split("\n").slice(text.startsWith("\n") ? 2 : 1);
    expect(head.trim().split(/ {2,}/).slice(0, 2)).toEqual(["mode", "dtype"]);
    expect(head.trim().split(/ {2,}/).slice(-2)).toEqual(["weights", "copies"]);
    expect(first.trim().split(/ {2,}/).slice(-2)).toEqual(["4.00 MiB", "3.00 MiB"]);
    expect(others.slice(0, 4).map((line) => line.split(/ {2,}/)[1])).toEqual(rows.slice(1).map(({ dtype }) => dtype));
    expect(text).toContain("Converting the whole model to float16");
    expect(text).toContain("Converting the whole model to bfloat16");
    const random = printed((console) => evaluation(console, rows, { trained: false, ...shown }));
    expect(text).toMatch(/box px +worst px +score +worst score +only fp32 +only here +lost .*AP/);
    expect(others[0]).toMatch(/ 0\.088 {2,}4 {2,}3 {2}/);
    expect(text).toContain("Above a score of 0.26 (--threshold) fp32 reports 31 detections and autocast 30");
    expect(text).toContain("autocast: how training evaluates, and val, predict: each operator");
    expect(random).toMatch(/random weights: the last box layer is zero and scores tie/);
    expect(random.replace(/^Evaluation.*$/m, "")).not.toMatch(/box|lost|score|\bAP\b|mask|only fp32|threshold/);
    expect(random).toContain("Converting the whole model to bfloat16: norms are off by 0; under");
    // Of weights that were trained in float32 it does not claim that they are used under autocast.
    const own = printed((console) => evaluation(console, rows, { trained: true, ...shown, byDefault: "32-true" }));
    expect(own).toContain("autocast: not how val and predict take these weights, which is 32-true: each operator");
    expect(own).not.toContain("Evaluation runs under autocast already");
  });

  it("say that evaluation runs under autocast already, and what fp16_eval would change", () => {
    const off = (mode: EvaluatedMode["mode"], box_error_px: number) => ({ mode, box_error_px }) as EvaluatedMode;
    expect(obsolete([off("autocast", 0.4), off("fp16_eval", 0.05)])).toBe(
      "Evaluation runs under autocast already, with boxes off by 0.40 px; under fp16_eval they are off by 0.050 px",
    );
  });

  it("say how many choices are those of float64, and never all where one is not", () => {
    const made = (path: string, operator: string, same: number) => ({ path, operator, same, places: 1000 });
    const choices = [
      made("transformer.query_selection", "topk", 661),
      made("(outside of modules)", "linear_sum_assignment", 999),
      made("(outside of modules)", "topk", 380),
    ];
    expect(otherChoices({ ...row("bf16-mixed", 1, 1), choices })).toBe(
      "bf16-mixed chooses as float64 does, where all choices before are the same: 66 % of the ranks of the query selection, 99 % of the matches, 38 % of the mask points",
    );
  });

  it("tell a way to spare memory that spares none", () => {
    const price = (way: "default" | "lean", peak_tensor_bytes: number): MemoryPrice => ({
      way,
      peak_tensor_bytes,
      step_seconds: 1,
      step_seconds_range: [1, 1],
    });
    const base = price("default", 100);
    expect([base, price("lean", 103), price("lean", 90)].map((each) => sparesNothing(each, base))).toEqual([
      false,
      true,
      false,
    ]);
  });
});

it("the verdict on number formats says in a sentence what each costs beside bfloat16, least first", () => {
  const format = (name: string, rounding_cosine: number, nonfinite = false) =>
    ({ format: name, rounding_cosine, nonfinite }) as Calibration["formats"][number];
  const bf16 = { ...row("bf16-mixed", 1, 1), rounding_cosine: Math.cos(Math.asin(0.01)) };
  const formats = [format("mxfp4", 0.6), format("fp8", 0.8), format("nvfp4", Number.NaN, true)];
  expect(formatsVerdict({ ...measured("bf16-mixed", bf16), formats })).toBe(
    "Cost of the formats, least first: bf16-mixed alone turns the gradient by 1 %, fp8 turns it by 60 %, mxfp4 turns it by 80 %, nvfp4 is not finite",
  );
});

describe("the advice of the doctor", () => {
  it("says why a precision is recommended that is slower than float32", () => {
    expect(advice(measured("bf16-mixed", row("bf16-mixed", 0.95, 0.7)), byDefault("bf16-mixed"))).toEqual([
      "recommended bf16-mixed, which training takes by default: measured here; 32-true is faster: the reason is the memory",
    ]);
  });

  it.each(autoTable.map(({ hardware, precision, reason }) => [hardware, { precision, reason }] as const))(
    "has the reason of the default from the table of hardware: %s",
    (_, resolved) => {
      const [low, best] =
        resolved.precision === "32-true"
          ? (["bf16-mixed", "bf16-mixed"] as const)
          : [resolved.precision, "32-true" as const];
      const [recommended, taken] = advice(measured(best, row(low, 0.8, 0.8)), resolved);
      expect(recommended).toBe(
        `recommended ${best}: measured here${best === low ? "; 32-true is faster: the reason is the memory" : ""}`,
      );
      expect(taken).toContain(`training takes ${resolved.precision} by default (${resolved.reason})`);
      const same = advice(measured(resolved.precision, row(low, 2, 0.8)), resolved);
      expect(same).toEqual([`recommended ${resolved.precision}, which training takes by default: measured here`]);
    },
  );

  it("says that rounds scatter too widely to decide", () => {
    const { recommended, ...others } = measured("bf16-mixed", row("bf16-mixed", 1, 0.7));
    const undecided = { ...others, recommended: { ...recommended, undecided: true } };
    const start = "undecided, measure again while nothing else runs; until then bf16-mixed";
    expect(advice(undecided, byDefault("bf16-mixed"))).toEqual([
      `${start}, which training takes by default: measured here`,
    ]);
    expect(advice(undecided, byDefault("32-true"))).toEqual([`${start}: measured here`]);
    expect(written("c.json", { precision: "bf16-mixed" }, undecided.recommended)).toBe(
      'written to c.json, undecided as it is: {"precision":"bf16-mixed"}',
    );
  });

  it("claims no more than the rounds show", () => {
    const scattered = { ...row("bf16-mixed", 0.95, 0.7), speedup_range: [0.9, 1.1] } as Row;
    expect(advice(measured("bf16-mixed", scattered), byDefault("bf16-mixed"))[0]).toMatch(
      /; 32-true is as fast or faster: the reason is the memory$/,
    );
  });

  it("is one sentence where training takes by default what measured best", () => {
    expect(advice(measured("bf16-mixed", row("bf16-mixed", 2, 0.7)), byDefault("bf16-mixed"))).toEqual([
      "recommended bf16-mixed, which training takes by default: measured here",
    ]);
  });

  it("says what the default gives, and costs, where another precision measured best", () => {
    expect(advice(measured("32-true", row("bf16-mixed", 0.86, 0.81)), byDefault("bf16-mixed"))[1]).toBe(
      "training takes bf16-mixed by default (the table says so), at 0.86 times the speed of 32-true with 81 % of its peak tensor memory: keep it where memory is short, or train with --precision 32-true",
    );
    expect(advice(measured("bf16-mixed", row("bf16-mixed", 2, 0.7)), byDefault("32-true"))[1]).toBe(
      "training takes 32-true by default (the table says so): train with --precision bf16-mixed",
    );
    expect(advice(measured("32-true", row("bf16-mixed", 2, 0.7, true)), byDefault("bf16-mixed"))[1]).toBe(
      "training takes bf16-mixed by default (the table says so), which is not finite here: train with --precision 32-true",
    );
  });
});

describe("what autocast changes of the detections that predict reports", () => {
  const best = { threshold: 0.26, from: "the best one" };
  const images = ["/data/valid/a.jpg", "b.jpg", 7, "d.jpg"].map((image, i) => ({
    ...{ image, only_reference: 1, only_found: Number(i < 3) },
  }));

  it("is said with both counts, the share of each, rounded up, the highest score and the worst images", () => {
    expect(reported({ at_threshold: changed({ only_reference: 4, only_found: 3, images }) }, best)).toBe(
      "Above a score of 0.26 (the best one) fp32 reports 31 detections and autocast 30: 4 of 31 (13.0 %) only fp32 reports, 3 of 30 (10.0 %) only autocast. Their highest score is 0.30, and they are on 4 images, most on a.jpg (1 + 1), b.jpg (1 + 1), image 7 (1 + 1)",
    );
    const one = { only_reference: 1, only_found: 0, images: images.slice(3) };
    expect(reported({ at_threshold: changed({ ...one, reference: 3000, found: 2999 }) }, best)).toMatch(
      /: 1 of 3,000 \(0\.1 %\) only fp32 reports, 0 of 2,999 \(0\.0 %\) only autocast\..* on 1 image: d\.jpg \(1 \+ 0\)$/,
    );
  });

  it("is nothing where each has a partner, and not known where nothing is reported", () => {
    expect(reported({ at_threshold: changed({ found: 31, highest_score: null }) }, best)).toBe(
      "Above a score of 0.26 (the best one) fp32 reports 31 detections and autocast 31: the same ones",
    );
    const none = changed({ reference: 0, found: 0, highest_score: null });
    expect(reported({ at_threshold: none }, best)).toMatch(/neither fp32 nor autocast reports a detection, so nothing/);
  });
});

describe("the speed of prediction", () => {
  const at = (speedup: number, ...speedup_range: [number, number]) => slowerPrediction({ speedup, speedup_range });

  it("advises float32 where autocast is slower, by more than two measurements differ, with the rounds", () => {
    expect(at(0.6, 0.55, 0.64)).toBe(
      "In prediction autocast runs at 0.60 (0.55 to 0.64 by round) times the speed of float32 here: --precision 32-true makes val and predict faster, with the detections of fp32",
    );
    expect(at(0.92, 0.92, 0.92)).toBe(null);
    expect(at(2, 1.5, 3)).toBe(null);
    expect(at(Number.NaN, Number.NaN, Number.NaN)).toBe(null);
  });

  it("is undecided by the rule of training: rounds scatter by over a quarter, and disagree", () => {
    const undecided =
      /^Whether float32 predicts faster here is undecided, since rounds disagree: autocast runs at .* measure again/;
    expect(at(0.65, 0.5, 1.2)).toMatch(undecided);
    expect(at(1.05, 0.73, 1.27)).toMatch(undecided);
    expect(at(0.85, 0.8, 0.95)).toMatch(/^In prediction/);
  });
});
