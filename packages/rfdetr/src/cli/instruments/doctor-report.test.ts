import type { Calibration, Precision } from "@rfdetr/amp";
import { describe, expect, it } from "vitest";
import { advice } from "./doctor-report.js";

type Row = Calibration["precisions"][number];
const row = (precision: Precision, speedup: number, memory_ratio: number, nonfinite = false) =>
  ({ precision, speedup, memory_ratio, nonfinite }) as Row;
const measured = (precision: Precision, ...precisions: Row[]): Calibration => ({
  exact: { loss: 1, gradient_norm: 1 },
  precisions: [row("32-true", 1, 1), ...precisions],
  recommended: { precision, reason: "measured here" },
});

describe("the advice of the doctor", () => {
  it("is one sentence where training takes by default what measured best", () => {
    expect(advice(measured("bf16-mixed", row("bf16-mixed", 2, 0.7)), "bf16-mixed")).toEqual([
      "recommended bf16-mixed, which training takes by default: measured here",
    ]);
  });

  it("says what the default gives, and costs, where another precision measured best", () => {
    expect(advice(measured("32-true", row("bf16-mixed", 0.86, 0.81)), "bf16-mixed")[1]).toBe(
      "training takes bf16-mixed by default, at 0.86 times the speed of 32-true with 81 % of its peak memory: keep it where memory is short, or train with --precision 32-true",
    );
    expect(advice(measured("bf16-mixed", row("bf16-mixed", 2, 0.7)), "32-true")[1]).toBe(
      "training takes 32-true by default: train with --precision bf16-mixed",
    );
    expect(advice(measured("32-true", row("bf16-mixed", 2, 0.7, true)), "bf16-mixed")[1]).toBe(
      "training takes bf16-mixed by default, which is not finite here: train with --precision 32-true",
    );
  });
});
