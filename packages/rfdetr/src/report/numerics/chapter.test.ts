import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ModuleRecord, recordLine } from "@rfdetr/amp/records";
import { describe, expect, it } from "vitest";
import { attribute, type HtmlPage, isIn } from "../../testing/pages/html-page.js";
import {
  headerRecord,
  moduleRecord,
  monitorRecord,
  overflowReport,
  stepRecord,
} from "../../testing/runs/numerics-records.js";
import { reportRun } from "../../testing/runs/report-run.js";
import { pageOf, reportOf, root } from "../../testing/runs/written-report.js";

const page = reportOf();
const text = page.text();

describe("the chapter on numerics", () => {
  it("begins with what to know", () => {
    expect(text).toContain(
      "3 steps of 40 in 16-mixed changed nothing, because the loss scale was too large for a gradient: the scaler finds its scale in this way.",
    );
    expect(text).toContain(
      "Outputs in float16 came closest to overflow in decoder.layers.0 at step 40: +3.0 bits were left.",
    );
  });

  it("shows the loss scale, and tells each fault with what followed", () => {
    expect(text).toContain("It began at 65,536 and ended at 8,192 (2¹³), after 3 changes.");
    expect(text).toContain("It happened 2 times, for up to 2 steps in a row.");
    expect(text).toContain("3 times from step 1 to 30: a gradient was not finite, first at decoder.layers.0");
    expect(text).toContain(
      "the gradient at the output of decoder.layers.0 was the first that was not; it came from class_embed.",
    );
    expect(page.texts("tr")).toContain("3016,384decoder.layers.0.weightstep 31, scale 8,192");
    expect(text).toContain("Images of the batch: train/1.jpg.");
    expect(text).toContain("The scaler has halved the scale.");
  });

  it("tells a single fault in sentences", () => {
    const folder = reportRun(join(root, "single"), { precision: "32-true" });
    writeFileSync(
      join(folder, "numerics.jsonl"),
      [
        stepRecord(1, { scale: 1, loss: Number.NaN, skipped: true, fault: "loss", bad_module: "head" }),
        overflowReport(1),
        stepRecord(2, { scale: 1 }),
      ]
        .map((record) => `${recordLine(record)}\n`)
        .join(""),
    );
    expect(pageOf(folder).text()).toContain(
      "Step 1: head was not finite The output of head (operator linear) was the first value that was not finite. The step changed nothing. Step 2 was applied again.",
    );
  });

  it("has every module in a tree, with its headroom in words and signs", () => {
    const tree = page.all("ul").find((list) => attribute(list, "class") === "tree");
    const summaries = page
      .all("summary")
      .filter((summary) => isIn(summary, tree))
      .map((summary) => page.text(summary));
    expect(summaries).toEqual([
      "decoder.layers.0◆ out +3.0 · 2 % zero◆ grad +12.0 · 2 % zero · overflowed in a skipped step",
      "backbone.0.encoder.norm● out +14.4",
    ]);
    expect(text).toContain("The largest output was −4,096, at [0, 3] in step 40, made by the image train/7.jpg.");
    expect(page.all("image").length).toBeGreaterThan(4);
  });

  it("marks the module that overflowed, and none of those that it spread to", () => {
    const folder = reportRun(join(root, "forward"));
    const [fault, ...modules] = ["decoder", "decoder", "head"];
    const nan = modules.map((path) => moduleRecord(path, Number.NaN, { non_finite: 1 }));
    const fine = modules.map((path) => moduleRecord(path, 8, { exponents: { first: 0, counts: [9] } }));
    writeFileSync(
      join(folder, "numerics.jsonl"),
      [
        stepRecord(1, { scale: 1 }),
        monitorRecord(1, { forward: fine }),
        stepRecord(2, { scale: 1, loss: Number.NaN, skipped: true }),
        overflowReport(2, { module: fault }),
        monitorRecord(2, { forward: nan }),
      ]
        .map((record) => `${recordLine(record)}\n`)
        .join(""),
    );
    const report = pageOf(folder);
    const badges = report.texts("summary").filter((summary) => summary.includes("out "));
    expect(badges).toEqual(["decoder✕ out +13.0", "head● out +13.0"]);
    expect(report.text()).toContain("The output of decoder was not finite at step 2.");
  });

  const watchedOnce = (name: string, records: readonly Parameters<typeof recordLine>[0][]): HtmlPage => {
    const folder = reportRun(join(root, name));
    const header = headerRecord({ precision: "bf16-mixed", monitor_interval: 200 });
    writeFileSync(join(folder, "numerics.jsonl"), [header, ...records].map((each) => `${recordLine(each)}\n`).join(""));
    return pageOf(folder);
  };
  const values = (path: string, dtype: string, amax: number, more: Partial<ModuleRecord> = {}): ModuleRecord =>
    moduleRecord(path, amax, { dtype, exponents: { first: Math.floor(Math.log2(amax)), counts: [100] }, ...more });
  /** Gradients whose largest is 2^top, with `small` of 100 at 2^low. */
  const gradient = (path: string, [low, top]: readonly [number, number], small: number): ModuleRecord =>
    values(path, "bfloat16", 2 ** top, {
      fp16_flush: low < -25 ? small / 100 : 0,
      exponents: { first: low, counts: [small, ...Array<number>(top - low - 1).fill(0), 100 - small] },
    });
  const badgesOf = (report: HtmlPage): string[] =>
    report.texts("summary").filter((summary) => /out |grad /.test(summary));

  it("weighs what float16 makes zero, and names the loss scales that keep both ends", () => {
    const sides = { gradient: [gradient("head", [-30, 2], 60), gradient("neck", [-10, 0], 60)] };
    const report = watchedOnce("flushed", [stepRecord(1, { scale: 1 }), monitorRecord(1, sides)]);
    const words = report.text();
    expect(badgesOf(report)).toEqual(["head◆ grad +14.0 · 60 % zero", "neck● grad +16.0"]);
    expect(words).not.toMatch(/Gradients would have fit|All 2 modules had room/);
    expect(words).toContain(
      "In 1 of the 2 modules whose gradients 16-mixed has in float16, more than 5 % would have become zero: most in head, 60 %.",
    );
    expect(words).toContain("Loss scales from 32 to 8,192 would have kept the gradients in float16 at both ends");
    expect(words).toContain("16-mixed begins at 65,536, and would have skipped steps until it came down.");
  });

  it("says of which modules it counts, and which came closer in float32", () => {
    const sides = { forward: [values("neck", "bfloat16", 8), values("norm", "float32", 2 ** 14)] };
    const head = { gradient: [gradient("head", [-30, 2], 60)] };
    const words = watchedOnce("counted", [stepRecord(1, { scale: 1 }), monitorRecord(1, { ...sides, ...head })]).text();
    expect(words).toContain(
      "Outputs would have fit into float16, with +13.0 bits left in neck at step 1. Closer, with +2.0 bits, came norm, which is held in float32, in 16-mixed too.",
    );
    expect(words).toContain("In the only module whose gradients 16-mixed has in float16, more than 5 %");
    expect(words).toContain("Of 3 watched modules: ");
    expect(words).toContain("zero in 1 of these 3, of their outputs or gradients in any dtype.");
  });

  it("says so where no loss scale keeps both ends", () => {
    const sides = { gradient: [gradient("head", [-45, 2], 60), gradient("neck", [-10, 8], 60)] };
    const report = watchedOnce("no scale", [stepRecord(1, { scale: 1 }), monitorRecord(1, sides)]);
    expect(report.text()).toContain(
      "No loss scale would have kept all gradients in float16: above 128, that of neck overflows; below 2²⁰, more than 5 % of those of head become zero.",
    );
  });

  it("gives each badge the sign of the figures beside it, whatever the dtype of the run", () => {
    const forward = [
      values("a", "bfloat16", 2 ** 13),
      values("b", "bfloat16", 2 ** 15),
      values("c", "bfloat16", 2 ** 20),
      values("d", "bfloat16", 4, { fp16_flush: 0.07 }),
      values("e", "bfloat16", 4),
      values("f", "bfloat16", 2 ** 127),
    ];
    const report = watchedOnce("bf16 badges", [stepRecord(1, { scale: 1 }), monitorRecord(1, { forward })]);
    expect(badgesOf(report)).toEqual([
      "a◆ out +3.0",
      "b▲ out +1.0",
      "c○ out −4.0",
      "d◆ out +14.0 · 7 % zero",
      "e● out +14.0",
      "f▲ out +1.0 of bfloat16",
    ]);
    const note = "This run is bf16-mixed, whose range is that of float32: there is nothing to do.";
    expect(report.text(), "a module near the end of bfloat16").not.toContain(note);
    const fine = [stepRecord(1, { scale: 1 }), monitorRecord(1, { forward: forward.slice(0, 5) })];
    expect(watchedOnce("bf16 fine", fine).text()).toContain(note);
    const wide = [values("a", "float16", 8), values("b", "float32", 2 ** 15)];
    const fp16 = watchedOnce("16 badges", [stepRecord(1, { scale: 1 }), monitorRecord(1, { forward: wide })]);
    expect(badgesOf(fp16)).toEqual(["a● out +13.0", "b○ out +1.0"]);
    expect(fp16.text()).toContain("close to the ends of float16 or beyond them, and held in a wider dtype here");
  });

  it.each([
    ["mask_token", " The encoder's mask_token never does: only the pretraining of DINOv2 uses it."],
    ["norm.weight", ""],
  ])("says why %s did not move, where that is by design", (still, why) => {
    const updates = [
      { name: "class_embed.weight", ratio: 1e-3, bf16_lost: 0 },
      { name: `backbone.0.encoder.${still}`, ratio: 0, bf16_lost: 0 },
    ];
    const steps = (last: number): object[] =>
      Array.from({ length: last }, (_, i) => [
        stepRecord(i + 1, { scale: 1 }),
        monitorRecord(i + 1, { updates }),
      ]).flat();
    const report = watchedOnce(`still ${still}`, steps(3));
    const sentence = "1 parameter did not move on any watched step (3 of 3 steps watched).";
    expect(report.texts("p")).toContain(sentence + why);
    expect(report.text()).toContain("a tenth of it learns slowly");
    const short = watchedOnce(`short ${still}`, steps(2)).text();
    expect(short).toContain("Only 2 of 2 steps watched: too few to judge how the parameters learn.");
    expect(short).not.toMatch(/did not move|learns slowly/);
  });

  it("says how many steps were watched, and names the module of a skipped step that was not", () => {
    const found = { scale: 65536, skipped: true, fault: "gradient of head.bias", bad_parameter: "head.bias" };
    const report = watchedOnce("watched once", [
      stepRecord(1, { scale: 65536 }),
      monitorRecord(1, { scale: 65536, gradient: [values("head", "float16", 2 ** 10)] }),
      stepRecord(2, { scale: 65536 }),
      stepRecord(3, found),
      stepRecord(4, { scale: 32768 }),
    ]);
    const words = report.text();
    expect(words).toContain(
      "The modules were watched on 1 of 4 steps (monitor_interval 200): what follows is said of these.",
    );
    expect(words).toContain("1 skipped step was not among them.");
    expect(words).toContain("Of 1 watched module: 1 worth a look, on the watched steps: 1 of 4 steps.");
    expect(words).toContain("is 32,768: above it, that of head overflows.");
    expect(badgesOf(report)).toEqual(["head◆ grad +6.0 · overflowed in a skipped step"]);
  });

  it("names no interval that the run did not keep to", () => {
    const steps = Array.from({ length: 40 }, (_, i) => i + 1);
    const watched = (step: number) => monitorRecord(step, { gradient: [values("head", "bfloat16", 2)] });
    const report = watchedOnce(
      "planned later",
      steps.flatMap((step) => [stepRecord(step, { scale: 1 }), ...(step % 2 === 0 ? [watched(step)] : [])]),
    );
    expect(report.text()).toContain("The modules were watched on 20 of 40 steps: what follows is said of these.");
  });

  it("says what was foreseen", () => {
    expect(page.texts("tr")).toContain("decoder.layers.0outputs, float16step 30step 40+3.010step 80no");
  });

  it("has updates, memory, time, and the cost against 32-true", () => {
    expect(text).toContain("If the weights themselves were bfloat16, 63 % of the changes would have been lost");
    expect(text).toContain("The process keeps decoded images as well, up to 256 MiB of them in training");
    expect(text).toContain(
      "Of 8.58 MiB in backward of step 9, the highest of the watched steps that were looked into.",
    );
    expect(page.texts("text")).toEqual(
      expect.arrayContaining(["activations", "float16", "waiting for images", "between the steps"]),
    );
    expect(text).toContain("16-mixed was 1.5 times as fast as 32-true and took 0.6 times the memory of tensors.");
    expect(text).toContain("before the run: a step without the optimizer, its moments and the average");
    // What a process takes at its peak is another figure than what it takes after a step.
    expect(text).toContain(
      "All tensors together took 8.58 MiB at most, in the largest step of this run; after a step the whole process took up to 381 MiB",
    );
    expect(text).toContain("477 MiBpeak memory of the process, whole run");
    expect(text).toContain("Its gradient points 1.15° away from the exact one.");
  });

  it("of a run in bfloat16 speaks of bfloat16, and of float16 only where that is opened", () => {
    const sides = { forward: [values("neck", "bfloat16", 2 ** 18)], gradient: [values("head", "bfloat16", 2 ** -4)] };
    const report = watchedOnce("bf16 words", [stepRecord(1, { scale: 1 }), monitorRecord(1, sides)]);
    const opened = report.all("details").map((each) => report.text(each));
    expect(opened.filter((each) => each.startsWith("What float16 would have done, in 16-mixed"))).toHaveLength(1);
    expect(opened.filter((each) => each.startsWith("Every module by the limits of float16"))).toHaveLength(1);
    const words = opened.reduce((rest, each) => rest.replace(each, ""), report.text());
    expect(words).toContain(
      "Nothing came near the end of bfloat16: nearest were the outputs of neck, with +110.0 bits left at step 1.",
    );
    expect(words).toContain("it costs is precision, not range");
    expect(words).toContain("Every module had room in bfloat16, on the watched steps: 1 of 1 step.");
    expect(words).toContain("Bfloat16 reaches from 2⁻¹²⁶ to 2¹²⁷, as float32 does");
    const ofFloat16 =
      /.{0,40}(loss scale|overflows? float16|\bfloat16 (overflows|loses|has)|zero in (it|float16)).{0,40}/gi;
    expect([...words.matchAll(ofFloat16)].map(([match]) => match)).toEqual([]);
  });

  it("of a run in float32 says what half precision would have done", () => {
    const report = watchedOnce("fp32 words", [
      stepRecord(1, { scale: 1 }),
      monitorRecord(1, { forward: [values("neck", "float32", 2 ** 18)] }),
    ]).text();
    expect(report).toContain("Nothing came near the end of float32: nearest were the outputs of neck");
    expect(report).toContain("What half precision would have doneBfloat16 has the range of float32");
    expect(report).toContain("Outputs would not have fit into float16: in neck they are 2.0 bits beyond it.");
    expect(report).not.toContain("it costs is precision");
  });

  it("of a run without a loss scale has none, and what float16 would have done", () => {
    const report = reportOf({ precision: "bf16-mixed" }).text();
    expect(report).toContain("No step of 40 was skipped: every loss and every gradient was finite.");
    expect(report).not.toMatch(/The loss was not scaled|Loss scale and skipped steps/);
    expect(report).toContain(
      "Outputs would have fit into float16, with +3.0 bits left in decoder.layers.0 at step 40.",
    );
    expect(report).not.toContain("What was not finite");
  });
});
