import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { headroomOf, parseRecord } from "@rfdetr/amp/records";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TrainEvent } from "../src/run/events/events.js";
import type { MonitorRecord, StepRecord } from "../src/run/files/numerics/numerics-records.js";
import { plantedModule, plantedOverflow } from "../src/testing/runs/planted-overflow.js";
import { squares } from "./squares.js";

const folder = mkdtempSync(join(tmpdir(), "planted-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("an overflow that is planted in 16-mixed", () => {
  const events: TrainEvent[] = [];
  let steps: StepRecord[];
  let watched: MonitorRecord[];
  let firstSkip: number;
  beforeAll(async () => {
    const outputDir = join(folder, "run");
    const run = { datasetDir: "-", outputDir, openData: squares(10), maxSteps: 40, remedy: true };
    for await (const event of plantedOverflow(run)) events.push(event);
    const records = readFileSync(join(outputDir, "numerics.jsonl"), "utf8").trim().split("\n").map(parseRecord);
    steps = records.filter(({ kind }) => kind === "step") as unknown as StepRecord[];
    watched = records.filter(({ kind }) => kind === "monitor") as unknown as MonitorRecord[];
    firstSkip = steps.find(({ skipped }) => skipped)?.step ?? Number.NaN;
  });

  it("is seen coming: the module has less headroom from each watched step to the next", () => {
    const bits = watched
      .filter(({ step }) => step < firstSkip)
      .flatMap(({ forward }) => forward.filter(({ path }) => path === plantedModule))
      .map((module) => headroomOf(module).fp16.overflow);
    expect(bits.length).toBeGreaterThan(8);
    for (const [i, value] of bits.entries()) if (i > 0) expect(value).toBeLessThan(bits[i - 1]);
  });

  it("is foreseen for that module and no other, before the first step is skipped", () => {
    const foreseen = watched.flatMap(({ step, forecasts }) => forecasts.map((forecast) => ({ step, ...forecast })));
    const before = foreseen.filter(({ step }) => step < firstSkip);
    expect(new Set(before.map(({ path, side, dtype }) => `${side} ${path} ${dtype}`))).toEqual(
      new Set([`forward ${plantedModule} float16`]),
    );
    // Growth of half a bit each step is steady: two steps are the most that the line was wrong by.
    for (const { step, steps: left } of before) expect(Math.abs(step + left - firstSkip)).toBeLessThanOrEqual(2);
    const warning = events.findIndex((event) => event.type === "warning" && event.message.startsWith(plantedModule));
    expect(warning).toBeGreaterThan(0);
    expect(warning).toBeLessThan(events.findIndex((event) => event.type === "step" && event.skipped));
  });

  it("begins in that module, and ends when a command gives it the rule fp32", () => {
    expect(steps.find(({ skipped }) => skipped)?.bad_module).toBe(plantedModule);
    const command = events.find((event) => event.type === "control");
    expect(command).toMatchObject({ command: "override", pattern: plantedModule, rule: "fp32" });
    const changed = steps.findIndex(({ step }) => step === (command as { step: number }).step + 1);
    expect(steps.slice(changed).map(({ skipped }) => skipped)).toEqual(Array(steps.length - changed).fill(false));
  });
});
