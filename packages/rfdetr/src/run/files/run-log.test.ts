import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { NumericsError } from "../../support/errors.js";
import { epochEvent, runSummary, skippedEvent, startEvent, stepEvent } from "../../testing/runs/run-events.js";
import type { TrainEvent } from "../events/events.js";
import { RunDirectory } from "./run-directory.js";
import { logged } from "./run-log.js";

let directory: RunDirectory;
beforeEach(() => {
  directory = RunDirectory.create(mkdtempSync(join(tmpdir(), "log-")), "x");
});

const lines = (): string[] =>
  readFileSync(directory.file("log.txt"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ /, ""));

/** Passes events through the log. */
async function told(list: readonly TrainEvent[]): Promise<void> {
  async function* events(): AsyncGenerator<TrainEvent, void> {
    yield* list;
  }
  for await (const _ of logged(directory, events()));
}

async function* events(failure: Error | null): AsyncGenerator<TrainEvent, void> {
  yield { type: "warning", message: "a \u001b[2Jname" };
  yield { type: "checkpoint", path: "x", step: 1 };
  if (failure !== null) throw failure;
}

async function all(failure: Error | null): Promise<TrainEvent[]> {
  const passed: TrainEvent[] = [];
  for await (const event of logged(directory, events(failure))) passed.push(event);
  return passed;
}

describe("log.txt", () => {
  it("has a line with the time for what the run says, without control characters, and passes every event on", async () => {
    expect((await all(null)).map(({ type }) => type)).toEqual(["warning", "checkpoint"]);
    expect(readFileSync(directory.file("log.txt"), "utf8")).toMatch(/^\d{4}-\d\d-\d\dT\S+Z warning: a {2}\[2Jname\n$/);
  });

  it("ends with what the run failed with, and goes on below it when the run is continued", async () => {
    await expect(all(new Error("the disk is gone"))).rejects.toThrow("the disk is gone");
    await all(null);
    expect(lines()).toEqual(["warning: a  [2Jname", "error: the disk is gone", "warning: a  [2Jname"]);
  });

  it("has the hint of an error below it", async () => {
    await expect(all(new NumericsError("All is NaN", { hint: "Lower `lr`" }))).rejects.toThrow("All is NaN");
    expect(lines().slice(-2)).toEqual(["error: All is NaN", "Lower `lr`"]);
  });

  it("holds what the console shows: header, notes, epochs, skipped steps, the end", async () => {
    const done = { type: "done", endedBefore: false, summary: runSummary, dir: "runs/nano", best: null, last: null };
    await told([
      { ...startEvent, weights: null },
      { type: "note", message: "slow here" },
      stepEvent,
      skippedEvent,
      epochEvent,
      { ...epochEvent, epoch: 2, best: false },
      done as TrainEvent,
    ]);
    const [title, model] = lines();
    expect(title).toBe("rfdetr 0.1.0, new run (libtorch 2.15.0, Node 20.20.2)");
    expect(model).toBe("model      nano at 384 px, 30,467,298 parameters");
    expect(lines().slice(10)).toEqual([
      expect.stringMatching(/^warning: Random weights take /),
      "note: slow here",
      expect.stringMatching(/^step 214 skipped, loss scale 65536 → 32768: /),
      expect.stringMatching(/^note: The loss .* class, box, giou /),
      expect.stringMatching(/^ {2}epoch +step +loss .* time$/),
      expect.stringMatching(/^ {3}1\/50 +94 +10\.500 .* 1:05 {2}best$/),
      expect.stringMatching(/^ {3}2\/50 +94 +10\.500 .* 1:05$/),
      expect.stringMatching(/^result +AP 0\.512/),
      expect.stringMatching(/^run +finished after 4,700 steps/),
      expect.stringMatching(/^ +1:02:03 of training/),
    ]);
  });

  it("that cannot be written stops nothing", async () => {
    mkdirSync(directory.file("log.txt"));
    expect(await all(null)).toHaveLength(2);
  });
});
