import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CalibratedPrecision, Calibration, Precision } from "@rfdetr/amp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeRecommendation } from "./recommendation.js";

const row = (precision: Precision, scale = 1): CalibratedPrecision => ({
  precision,
  step_seconds: 1,
  speedup: 1,
  speedup_range: [1, 1],
  peak_tensor_bytes: 1,
  memory_ratio: 1,
  loss: 1,
  loss_error: 0,
  gradient_cosine: 1,
  rounding_cosine: 1,
  choices: [],
  nonfinite: false,
  scale,
  underflow_share: 0,
  modules: [],
});
const measured = (precision: Precision): Calibration => ({
  exact: { loss: 1, gradient_norm: 1 },
  precisions: [row("32-true"), row("bf16-mixed"), row("16-mixed", 4096)],
  formats: [],
  recommended: { precision, reason: "measured", undecided: false },
});

describe("a recommendation in a config file", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "recommendation-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("makes the file where there is none", () => {
    const path = join(folder, "config.json");
    expect(writeRecommendation(path, measured("bf16-mixed"))).toEqual({ precision: "bf16-mixed" });
    expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({ precision: "bf16-mixed" });
  });

  it("keeps every other setting of the file", () => {
    const path = join(folder, "config.json");
    writeFileSync(path, '{"epochs": 7, "precision": "32-true"}');
    writeRecommendation(path, measured("bf16-mixed"));
    expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({ epochs: 7, precision: "bf16-mixed" });
  });

  it("starts the loss scale of 16-mixed where gradients first were finite", () => {
    expect(writeRecommendation(join(folder, "c.json"), measured("16-mixed"))).toEqual({
      precision: "16-mixed",
      scaler: { init: 4096 },
    });
  });

  it("refuses the record of a run, and leaves it alone", () => {
    const path = join(folder, "config.json");
    const record = '{"started": "2026-11-27T10:00:00Z", "settings": {"lr": 1}}';
    writeFileSync(path, record);
    expect(() => writeRecommendation(path, measured("bf16-mixed"))).toThrow(/is the record of a run$/);
    expect(readFileSync(path, "utf8")).toBe(record);
  });

  it("refuses a file that holds no settings, and leaves it alone", () => {
    const path = join(folder, "config.json");
    writeFileSync(path, "epochs: 7");
    expect(() => writeRecommendation(path, measured("bf16-mixed"))).toThrow(/Expected JSON in/);
    expect(readFileSync(path, "utf8")).toBe("epochs: 7");
  });
});
