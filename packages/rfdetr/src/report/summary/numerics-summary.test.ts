import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { recordLine } from "@rfdetr/amp/records";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { MonitorRecord } from "../../run/files/numerics/numerics-records.js";
import {
  headerRecord,
  moduleRecord,
  monitorRecord,
  overflowReport,
  peakMemory,
  stepRecord,
} from "../../testing/runs/numerics-records.js";
import { NumericsReader } from "../records/numerics-reader.js";
import { summarizeNumerics } from "./numerics-summary.js";
import { numericsText } from "./numerics-text.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "summary-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What the command tells of these records. */
function tell(records: readonly object[], rest = "") {
  const path = join(folder, "numerics.jsonl");
  writeFileSync(path, records.map((record) => `${recordLine(record)}\n`).join("") + rest);
  const reader = new NumericsReader(path, { points: 20, watched: 2 });
  reader.read();
  const summary = summarizeNumerics(reader.record());
  return { summary, text: numericsText(summary) };
}

const skipped = { skipped: true, found_inf: true, grad_norm: Number.POSITIVE_INFINITY, clip_factor: 1 };
const control = { v: 1, kind: "control", step: 4, by: "command", at: "2026-01-02T03:04:05.000Z" };
const records = [
  headerRecord(),
  stepRecord(1, { scale: 65536, ...skipped }),
  stepRecord(2, { scale: 32768 }),
  monitorRecord(2, {
    scale: 32768,
    forward: [moduleRecord("a", 3), moduleRecord("b", 500)],
    gradient: [moduleRecord("a", Number.POSITIVE_INFINITY, { non_finite: 0.25 })],
  }),
  stepRecord(3, { scale: 32768, clip_factor: 1 }),
];

describe("the summary of a run's numerics", () => {
  it("says what the limits of float16 mean to a run in another precision, and what clipping leaves of the gradient", () => {
    const told = (precision: "bf16-mixed" | "16-mixed", amax: number): string =>
      tell([
        headerRecord({ precision }),
        stepRecord(1),
        monitorRecord(1, { forward: [moduleRecord("a", amax, { dtype: "bfloat16" })] }),
      ]).text;
    const note = "This run is bf16-mixed, whose range is that of float32: there is nothing to do.";
    expect(told("bf16-mixed", 500)).toContain(note);
    expect(told("bf16-mixed", 2 ** 127)).not.toContain("nothing to do");
    expect(told("16-mixed", 500)).not.toContain("nothing to do");
    expect(told("16-mixed", 500)).toContain("clipped to, least");
    expect(told("16-mixed", 500)).toContain("(gradients with the loss scale)");
    expect(told("bf16-mixed", 500)).toContain("(this run is bf16-mixed and scales no loss)");
    expect(told("bf16-mixed", 500)).not.toContain("gradients with the loss scale");
  });

  it("says which figures of a row are means, and that the clipping is that of the longest gradient", () => {
    const clipped = [
      stepRecord(1, { grad_norm: 2, clip_factor: 0.05 }),
      stepRecord(2, { grad_norm: 4, clip_factor: 0.025 }),
    ];
    const { text } = tell([headerRecord(), ...clipped]);
    expect(text).toMatch(/ 4\.000 +2\.5 %\n/);
    expect(text).toContain("Loss and gradient norm are means over the steps of a row, the norm before clipping; ");
    expect(text).toContain('"clipped to" is what was left of the length of the longest gradient among them');
    expect(tell([headerRecord(), stepRecord(1, { clip_factor: 1 })]).text).not.toContain('"clipped to"');
  });

  it("names the module of the report as the nearest to overflow: what is in the narrowest dtype, and in a module", () => {
    const record = (path: string, amax: number, dtype: string) => moduleRecord(path, amax, { dtype });
    const forward = [
      record("(outside of modules)", 900, "bfloat16"),
      record("held", 800, "float32"),
      record("low", 64, "bfloat16"),
    ];
    const told = tell([headerRecord({ precision: "bf16-mixed" }), stepRecord(1), monitorRecord(1, { forward })]);
    expect(told.summary.worst[0].path).toBe("(outside of modules)");
    expect(told.summary.nearest).toMatchObject({ path: "low", side: "forward", dtype: "bfloat16", step: 1 });
    expect(told.text).toContain(
      "Nearest to the end of bfloat16, of what is held in it, were the outputs of low: 122.0 bits were left at step 1.",
    );
  });

  it("counts steps and skips, follows the scale, ranks modules", () => {
    const { summary, text } = tell(records);
    expect(summary).toMatchObject({ steps: 3, applied: 2, skipped: 1, faults: [], processes: null });
    expect(summary.scale_changes.entries).toEqual([
      { step: 1, scale: 65536 },
      { step: 2, scale: 32768 },
    ]);
    expect(summary.spans).toHaveLength(3);
    expect(summary.worst.map(({ side, path }) => [side, path])).toEqual([
      ["gradient", "a"],
      ["forward", "b"],
      ["forward", "a"],
    ]);
    expect(text).toMatch(/3 steps, 2 applied, 1 skipped/);
    expect(text).toMatch(/65536 from step 1, 32768 from step 2/);
  });

  it("tells headroom and image of the largest values, time by phase, memory at the peak and commands", () => {
    const watched = (step: number, amax: number): MonitorRecord =>
      monitorRecord(step, {
        forward: [
          moduleRecord("a", amax, {
            exponents: { first: -16, counts: [1] },
            largest: { value: -amax, dtype: "float16", index: [1, 0], image: 1 },
          }),
        ],
        images: ["x.jpg", `${step}.jpg`],
        memory: peakMemory(step, (step === 2 ? 8 : 4) * 2 ** 20),
        forecasts: [
          {
            ...{ path: "a", side: "forward", dtype: "float16", headroom: 2, bits_per_step: 1 },
            ...{ steps: 6 - step, watched_steps: 6 - step, basis: { first: 1, records: step, r2: 1 } },
          },
        ],
      });
    const { summary, text } = tell([
      ...[1, 2, 3, 4].flatMap((step) => [stepRecord(step), watched(step, 1000 * 2 ** step)]),
      { ...control, command: "override", pattern: "a", rule: "fp32" },
      { ...control, step: 5, command: "undo", by: "settings" },
    ]);
    expect(summary.worst).toMatchObject([
      { path: "a", amax: 16000, step: 4, image: "4.jpg", headroom: { underflow: -2 } },
    ]);
    expect(summary.worst[0].headroom.overflow).toBeCloseTo(Math.log2(65504 / 16000), 9);
    expect(summary.phases?.forward).toBeCloseTo(0.15, 9);
    expect(summary.memory?.at_peak?.bytes).toBe(8 * 2 ** 20);
    expect(summary.forecasts).toMatchObject([{ path: "a", steps: 2 }]);
    expect(summary.controls.total).toBe(2);
    expect(text).toMatch(/^a +forward +1\.600e\+4 +2\.0 +-2\.0 +.* 4 +4\.jpg$/m);
    expect(text).toContain("a overflows float16 in about 2 watched steps (2 of all) at this growth: 2.0 bits are left");
    // As the report says it: the phases together take 480 ms.
    expect(text).toContain("Time of a step: 500 ms on average: load 10.0 %, forward 30.0 %");
    expect(text).toContain("optimizer 6.0 %, between the steps 4.0 %");
    expect(text).toContain(
      "Memory, the most of any step of this run, with its batch and its sizes of images: peak of tensors 8.58 MiB; the process after a step, at most 381 MiB (summary.json has its peak over the whole run",
    );
    expect(text).toContain(
      "at the peak of step 2, the highest of the watched steps that were looked into, 8.00 MiB in backward: weights 977 KiB, activations 7.05 MiB",
    );
    expect(text).toContain("After step 4: the rule of a became fp32");
    expect(text).toContain("After step 5: the last override was taken back, as precision_changes of the settings asks");
  });

  it("names the dtype that holds what is beyond float16, and the modules that lose most", () => {
    const wide = { value: 1e6, dtype: "float32", index: [0], image: null };
    const forward = [
      moduleRecord("(outside of modules)", 1e6, { dtype: "float32", largest: wide }),
      moduleRecord("head", 1, { fp16_flush: 0.68 }),
      moduleRecord("tail", 1, { fp16_flush: 0.04 }),
    ];
    const { summary, text } = tell([stepRecord(1), monitorRecord(1, { forward })]);
    expect(summary.flushed.map(({ path }) => path)).toEqual(["head"]);
    expect(text).toMatch(/^\(outside of modules\) +forward +1\.000e\+6 +-3\.9 .* float32 /m);
    expect(text).toContain("the dtype that holds it is wider, and nothing overflowed");
    expect(text).toContain('"(outside of modules)" are the operators');
    expect(text).toMatch(/^head +forward +float16 +68\.0 %$/m);
  });

  it("leaves out what spreads from a step that was skipped, and tells a fault at one place once", () => {
    const fault = (step: number): object[] => [
      stepRecord(step, skipped),
      overflowReport(step, { advice: ["Take fp32."] }),
      monitorRecord(step, { forward: ["head", "tail"].map((path) => moduleRecord(path, Number.NaN)) }),
    ];
    const applied = monitorRecord(1, { forward: [moduleRecord("head", 6e4), moduleRecord("tail", 1)] });
    const { summary, text } = tell([stepRecord(1), applied, ...fault(2), ...fault(3), ...fault(4)]);
    expect(summary.worst.map(({ path, amax, step }) => [path, amax, step])).toEqual([
      ["head", 6e4, 1],
      ["tail", 1, 1],
    ]);
    expect(text.match(/first not finite in the output of head/g)).toHaveLength(1);
    expect(text).toMatch(/Take fp32\.\n\nThe same at steps 3, 4\.$/);
  });

  it("reads what a killed run left, and says what is damaged", () => {
    expect(tell(records, '{"v":1,"kind":"st').summary).toMatchObject({ steps: 3, faults: [] });
    const damaged = '{"v":99,"kind":"step","step":4}\nnull\n[]\n{"v":1,"kind":"monitor"}\n{"v":1,"kind":"step"}\n';
    const { summary, text } = tell(records, damaged);
    expect(summary.steps).toBe(3);
    expect(text).toContain(
      "1 skipped\n5 lines of numerics.jsonl are damaged and were left out, the first of them line 6\n",
    );
    expect(tell([]).text).toBe("0 steps, 0 applied, 0 skipped");
  });

  it("says where no weight changed, and names a span of one step by that step", () => {
    const updates = [{ name: "a.weight", ratio: 0, bf16_lost: 0 }];
    const { text } = tell(records.map((record) => (record.kind === "monitor" ? { ...record, updates } : record)));
    expect(text).toContain("Updates: no weight changed on the watched steps");
    expect(text).toMatch(/^ *1 +1 +65536 +2\.000 +– +100\.0 %$/m);
  });

  it("tells the most that a span was clipped, which a skipped step is not", () => {
    const long = Array.from({ length: 1001 }, (_, i) => stepRecord(i + 1, i === 70 ? skipped : {}));
    const { spans } = tell(long).summary;
    expect(spans.length).toBeLessThanOrEqual(20);
    expect([spans[0].first, spans[spans.length - 1].last]).toEqual([1, 1001]);
    expect(spans[1]).toMatchObject({ skipped: 1, clip_factor: 0.1, grad_norm: 1 });
  });

  it("has the processes of a run without their curves", () => {
    const ranks = { images: [4, 4], work: [1, 2], load: [0, 0], wait: [1, 0], grad_norm: [1, 1] };
    const { processes } = tell([stepRecord(1), { ...stepRecord(2), ranks }]).summary;
    expect(processes).toMatchObject({ since: 2, images: 8, ranks: [{ work: 1 }, { work: 2 }] });
    expect(processes).not.toHaveProperty("points");
  });
});
