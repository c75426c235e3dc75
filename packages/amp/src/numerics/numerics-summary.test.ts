import { describe, expect, it } from "vitest";
import { summarizeNumerics } from "./numerics-summary.js";
import { formatNumerics } from "./numerics-text.js";
import { type ModuleRecord, numericsVersion, recordLine, type StepRecord } from "./step-record.js";

const step = (n: number, changes: Partial<StepRecord> = {}): StepRecord => ({
  v: numericsVersion,
  kind: "step",
  step: n,
  applied_steps: n,
  epoch: 1,
  precision: "16-mixed",
  scale: 65536,
  loss: 10 / n,
  found_inf: false,
  skipped: false,
  grad_norm: 1,
  clip_factor: 0.1,
  lr: 1e-4,
  bad_parameter: null,
  bad_module: null,
  fault: null,
  seconds: 1,
  memory: { live_bytes: 1, peak_bytes: 2, rss_bytes: 3 },
  ...changes,
});
const module = (path: string, amax: number, changes: Partial<ModuleRecord> = {}): ModuleRecord => ({
  path,
  dtype: "float16",
  amax,
  non_finite: 0,
  fp16_flush: 0,
  fp16_subnormal: 0,
  fp16_saturate: 0,
  bf16_flush: 0,
  exponents: { first: 0, counts: [] },
  ...changes,
});

const records = [
  {
    v: numericsVersion,
    kind: "header",
    precision: "16-mixed",
    reason: "as requested",
    note: null,
    policy: "default",
    overrides: {},
    hardware: "2 cores",
    monitor_interval: 2,
  },
  step(1, { skipped: true, found_inf: true, grad_norm: Number.POSITIVE_INFINITY }),
  step(2, { scale: 32768 }),
  {
    v: numericsVersion,
    kind: "monitor",
    step: 2,
    precision: "16-mixed",
    scale: 32768,
    forward: [module("a", 3), module("b", 500)],
    gradient: [module("a", Number.POSITIVE_INFINITY, { non_finite: 0.25 })],
    updates: [],
    seconds: 0.1,
  },
  step(3, { scale: 32768, clip_factor: 1 }),
];
const text = records.map(recordLine).join("\n");

describe("summary of numerics.jsonl", () => {
  it("counts steps and skips, follows the scale, ranks modules", () => {
    const summary = summarizeNumerics(text);
    expect(summary).toMatchObject({
      steps: 3,
      applied: 2,
      skipped: 1,
      unread: 0,
      scale_changes: [
        { step: 1, scale: 65536 },
        { step: 2, scale: 32768 },
      ],
    });
    expect(summary.spans).toHaveLength(3);
    expect(summary.worst.map((m) => [m.side, m.path])).toEqual([
      ["gradient", "a"],
      ["forward", "b"],
      ["forward", "a"],
    ]);
    const page = formatNumerics(summary);
    expect(page).toMatch(/3 steps, 2 applied, 1 skipped/);
    expect(page).toMatch(/65536 from step 1, 32768 from step 2/);
  });

  it("tells headroom and image of the largest values, time by phase, memory at the peak and commands", () => {
    const phases = { load: 0.1, forward: 0.4, loss: 0.1, backward: 0.3, optimizer: 0.1 };
    const memory = (n: number, bytes: number) => ({
      step: n,
      bytes,
      phase: "backward" as const,
      dtypes: { float32: bytes },
      kinds: {
        weights: 2 ** 20,
        copies: 0,
        gradients: 0,
        moments: 0,
        average: 0,
        activations: bytes - 2 ** 20,
        temporary: 0,
      },
    });
    const watched = (n: number, amax: number, bytes: number) => ({
      v: numericsVersion,
      kind: "monitor",
      step: n,
      precision: "16-mixed",
      scale: 1,
      gradient: [],
      updates: [],
      forward: [
        module("a", amax, {
          exponents: { first: -16, counts: [1] },
          largest: { value: -amax, dtype: "float16", index: [1, 0], image: 1 },
        }),
      ],
      images: ["x.jpg", `${n}.jpg`],
      memory: memory(n, bytes),
      seconds: 0.1,
    });
    const lines = [
      ...[1, 2, 3, 4].flatMap((n) => [step(n, { phases }), watched(n, 1000 * 2 ** n, (n === 2 ? 8 : 4) * 2 ** 20)]),
      { v: numericsVersion, kind: "control", step: 4, command: "override", by: "command", pattern: "a", rule: "fp32" },
      { v: numericsVersion, kind: "control", step: 5, command: "undo", by: "settings" },
    ].map(recordLine);
    const summary = summarizeNumerics(lines);
    expect(summary.worst).toMatchObject([
      { path: "a", amax: 16000, step: 4, image: "4.jpg", headroom: { underflow: -2 } },
    ]);
    expect(summary.worst[0].headroom.overflow).toBeCloseTo(Math.log2(65504 / 16000), 9);
    expect(summary.phases?.forward).toBeCloseTo(0.4, 9);
    expect(summary.memory?.at_peak?.bytes).toBe(8 * 2 ** 20);
    expect(summary.forecasts).toMatchObject([{ path: "a", dtype: "float16" }]);
    expect(summary.controls).toHaveLength(2);
    const page = formatNumerics(summary);
    expect(page).toMatch(/^a +forward +1\.600e\+4 +2\.0 +-2\.0 +.* 4 +4\.jpg$/m);
    expect(page).toContain("a overflows float16 in about 2 watched steps (2 of all) at this growth: 2.0 bits are left");
    expect(page).toContain("Time of a step: 1.00 s: load 10.0 %, forward 40.0 %");
    expect(page).toContain("at the peak of step 2, 8.00 MiB in backward: weights 1.00 MiB, activations 7.00 MiB");
    expect(page).toContain("After step 4: the rule of a became fp32");
    expect(page).toContain("After step 5: the last override was taken back, as precision_changes of the settings asks");
  });

  it("reads what a killed run left, and past other versions", () => {
    const broken = `${text}\n{"v":1,"kind":"st`;
    expect(summarizeNumerics(broken)).toMatchObject({ steps: 3, unread: 1 });
    expect(summarizeNumerics(`${recordLine({ v: 99, kind: "step" })}\n`)).toMatchObject({ steps: 0, unread: 1 });
    const damaged = [...records.map(recordLine), "null", "[]", '{"v":1,"kind":"monitor"}', '{"v":1,"kind":"step"}'];
    expect(summarizeNumerics(damaged)).toMatchObject({ steps: 3, unread: 4 });
    expect(formatNumerics(summarizeNumerics(""))).toBe("0 steps, 0 applied, 0 skipped");
  });

  it("says where no weight changed, and names a span of one step by that step", () => {
    const still = { name: "a.weight", norm: 1, ratio: 0, bf16_lost: 0 };
    const page = formatNumerics(
      summarizeNumerics(
        records.map((record) => ("updates" in record ? { ...record, updates: [still] } : record)).map(recordLine),
      ),
    );
    expect(page).toContain("Updates: no weight changed on the watched steps");
    expect(page).toMatch(/^ *1 +1 +65536 +– +– +–$/m);
  });

  it("folds long runs into at most twenty spans", () => {
    const long = Array.from({ length: 1001 }, (_, i) => recordLine(step(i + 1))).join("\n");
    const { spans } = summarizeNumerics(long);
    expect(spans.length).toBeLessThanOrEqual(20);
    expect([spans[0].first, spans[spans.length - 1].last]).toEqual([1, 1001]);
  });
});
