import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import type { DryRun } from "../../run/dry-run.js";
import { busyness } from "../../support/machine/machine.js";
import { startEvent } from "../../testing/runs/run-events.js";
import { Console } from "../console/console.js";
import { showDryRun } from "./dry-run.js";

const { type: _, ...start } = { ...startEvent, stepsPerEpoch: 12, totalSteps: 1200 };
const memory = { weights: 1, gradients: 1, moments: 2, average: 1, peak: 9, process: 20, available: 100 };

/** What a dry run says of the load and the time, as lines. */
function said(changes: Partial<DryRun> & Pick<DryRun, "seconds" | "timed">): string[] {
  const out = new PassThrough();
  const step = { size: 544, loss: 12, applied: true, fault: null };
  const load = busyness(0.4, 2);
  const dry = { start, download: null, notes: [], warnings: [], step, memory, load, ...changes };
  showDryRun(dry, new Console({}, { out, err: new PassThrough() }));
  const lines = String(out.read()).split("\n");
  return lines.slice(
    lines.findIndex((line) => line.startsWith("load")),
    -1,
  );
}

const range = { step: 10.1, least: 8.34, most: 16.64, epoch: 121.2 };
const slow = { steps: 3, sizes: [384, 544], loading: false };

describe("the time that a dry run says", () => {
  it("is a range with the digits that are known, of an epoch, a step and all steps, and says at which sides", () => {
    expect(said({ seconds: range, timed: slow })).toEqual([
      "load       0.4 processes on 2 cores in the last minute",
      "time       about 1.7 to 3.3 min an epoch (12 steps of 8.3 to 17 s), 2.8 to 5.5 h for 1,200 steps, without evaluation",
      "           by 3 steps at 384 to 544 px, without the loading beside them",
    ]);
  });

  it("is one figure where one step was timed, or where all took the same", () => {
    const seconds = { step: 30, least: 30, most: 30, epoch: 360 };
    expect(said({ seconds, timed: { steps: 1, sizes: [[384, 640]], loading: false } }).slice(1)).toEqual([
      "time       about 6 min an epoch (12 steps of 30 s), 10 h for 1,200 steps, without evaluation",
      "           by 1 step at 384×640 px, without the loading beside it",
    ]);
    const quick = { seconds: { step: 0.1, least: 0.1, most: 0.1, epoch: 1.2 }, timed: { ...slow, loading: true } };
    expect(said(quick).at(-1)).toBe("           by 3 steps at 384 to 544 px, with the loading beside them");
  });

  it("comes with what else keeps the machine busy, as doctor says it", () => {
    const load = busyness(22.2, 2);
    expect(said({ seconds: range, timed: slow, load })[0]).toBe(
      "load       22.2 processes on 2 cores in the last minute: other programs take time from what is measured; measure again when they are idle",
    );
  });

  it("is compared with a time budget", () => {
    const budget = (timeBudget: number) =>
      said({ seconds: range, timed: slow, start: { ...start, timeBudget } })[1].split("evaluation")[1];
    expect(budget(3600)).toBe("; the time budget of 1:00:00 ends the run after about 360 steps");
    expect(budget(86_400)).toBe("");
  });
});
