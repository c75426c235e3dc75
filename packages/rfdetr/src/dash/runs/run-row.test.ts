import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { recordLine } from "@rfdetr/amp/records";
import { afterAll, describe, expect, it } from "vitest";
import { ofPlan } from "../../../dash/format.js";
import { LiveLine } from "../../cli/console/live-line.js";
import { written } from "../../cli/console/style.js";
import { readRun } from "../../report/records/run-record.js";
import type { StepEvent } from "../../run/events/events.js";
import type { StepRecord } from "../../run/files/numerics/numerics-records.js";
import { RunLock } from "../../run/files/run-lock.js";
import { maskedDetails } from "../../testing/runs/masked-details.js";
import { monitorRecord, stepRecord } from "../../testing/runs/numerics-records.js";
import { reportRun } from "../../testing/runs/report-run.js";
import { stepEvent } from "../../testing/runs/run-events.js";
import { evaluationOf } from "../views/evaluation.js";
import { NamedImages } from "../views/images.js";
import type { RunRow } from "../wire.js";
import { RunFolders } from "./run-folders.js";
import { RunRows } from "./run-row.js";

const root = mkdtempSync(join(tmpdir(), "rows-"));
afterAll(() => rmSync(root, { recursive: true }));

function rowOf(name: string, metrics?: string): RunRow {
  const folder = reportRun(join(root, name, "run"));
  if (metrics !== undefined) writeFileSync(join(folder, "metrics.csv"), metrics);
  const folders = new RunFolders(join(root, name));
  return new RunRows(() => "running").row(folders.list()[0]);
}

/** The record of a step, as far as it tells where the run is. */
const stepOf = ({ epoch, step, loss, ...event }: StepEvent): StepRecord =>
  stepRecord(step, {
    epoch,
    loss,
    progress: {
      step_in_epoch: event.stepInEpoch,
      steps_per_epoch: event.stepsPerEpoch,
      planned_epochs: event.plannedEpochs,
      total_steps: event.totalSteps,
      skipped_steps: event.skippedSteps,
      images_per_second: event.imagesPerSecond,
      seconds_left: event.secondsLeft,
    },
  });

describe("the row of a run", () => {
  it("has the best AP of the masks where the run has masks, and says so", () => {
    const row = rowOf("masks", "epoch,val/AP,val/mask_AP\n1,0.5,0.25\n2,0.75,\n3,0.25,0.375\n");
    expect(row).toMatchObject({ best: 0.375, bestEpoch: 3, curve: [0.25, null, 0.375], ofMasks: true });
  });

  it("has that of the boxes where there are no masks", () => {
    const row = rowOf("boxes");
    expect(row).toMatchObject({ best: 0.4, bestEpoch: 3, curve: [0.1, 0.3, 0.4, 0.35] });
    expect(row).not.toHaveProperty("ofMasks");
  });

  it("counts the epochs that will be trained, where max_steps or a time budget ends the run before all are", () => {
    const epochs = (name: string, settings: object, config: object = {}): number | null => {
      const folder = reportRun(join(root, name, "run"));
      const file = join(folder, "config.json");
      const before = JSON.parse(readFileSync(file, "utf8"));
      writeFileSync(file, JSON.stringify({ ...before, ...config, settings: { ...before.settings, ...settings } }));
      writeFileSync(join(folder, "metrics.csv"), "epoch,step,val/AP\n1,20,0.5\n2,30,0.6\n");
      return new RunRows(() => "running").row(new RunFolders(join(root, name)).list()[0]).epochs;
    };
    expect(epochs("all", { epochs: 100 })).toBe(100);
    expect(epochs("told", { epochs: 100, max_steps: 30 }, { steps_per_epoch: 20 })).toBe(2);
    expect(epochs("by its rows", { epochs: 100, max_steps: 30 })).toBe(2);
    expect(epochs("more than enough", { epochs: 3, max_steps: 1000 }, { steps_per_epoch: 20 })).toBe(3);
    expect(epochs("by time", { epochs: 100, time_budget: 60 })).toBeNull();
  });

  describe("of a run that trains, in the middle of an epoch", () => {
    const begun = (name: string): { folder: string; append: (text: string) => void; row: () => RunRow } => {
      const folder = reportRun(join(root, name, "run"), { summary: null });
      const append = (text: string): void => appendFileSync(join(folder, "numerics.jsonl"), text);
      append(`${recordLine(stepOf(stepEvent))}\n`);
      writeFileSync(join(folder, "metrics.csv"), "epoch,step,val/AP,skipped_steps\n1,94,0.1,0\n2,188,0.2,1\n");
      const folders = new RunFolders(join(root, name));
      const rows = new RunRows(() => (name === "paused" ? "paused" : "running"));
      return { folder, append, row: () => rows.row(folders.list()[0]) };
    };

    it("says the same as the console after the same step, in the same words", () => {
      const { folder, row } = begun("live");
      const lock = RunLock.acquire(folder);
      const { epoch, epochs, step, steps, skipped, share, now } = row();
      lock.release();
      expect({ epoch, epochs, step, steps, skipped, share }).toEqual({
        epoch: 3,
        epochs: 50,
        step: 214,
        steps: 4700,
        skipped: 2,
        share: 214 / 4700,
      });
      const line = new LiveLine(() => statSync(join(folder, "numerics.jsonl")).mtime);
      line.step(stepEvent);
      const said = written(line.text(null), false);
      expect(said).toContain(`${now?.left} · epoch ${ofPlan(epoch, epochs)} ${now?.done} · loss ${now?.loss} · `);
      expect(said).toContain(`skipped ${skipped} · `);
      expect(said).toContain(` · step ${ofPlan(step, steps)} · `);
    });

    it("is found behind a long record of a watched step, and before a line that is being written", () => {
      const { append, row } = begun("long");
      append(`${recordLine({ ...monitorRecord(214), images: Array<string>(40_000).fill("train/1.jpg") })}\n`);
      append('{"v":1,"kind":"step","step":215,');
      expect(row()).toMatchObject({ epoch: 3, step: 214, skipped: 2 });
    });

    it("has no time left while it is paused, once that time is over, and after its end", () => {
      for (const name of ["paused", "over"]) {
        const { folder, row } = begun(name);
        const lock = RunLock.acquire(folder);
        utimesSync(join(folder, "numerics.jsonl"), 0, name === "over" ? 0 : Date.now() / 1000);
        expect(row().now).toEqual({ left: null, done: "28 %", loss: "12.346" });
        lock.release();
        expect(row().now).toBeNull();
      }
    });

    it("has no plan while its time budget has none", () => {
      const { append, row } = begun("unplanned");
      append(`${recordLine(stepOf({ ...stepEvent, step: 215, plannedEpochs: null }))}\n`);
      expect(row()).toMatchObject({ epoch: 3, epochs: null, step: 215, steps: null, share: 0 });
    });
  });

  it("names the epoch of the best AP, the first of equal ones, and none while nothing is found", () => {
    const row = (values: string) => rowOf(`epochs-${values}`, `epoch,val/AP\n${values}\n`);
    expect(row("1,0.25\n2,0.5\n3,0.5")).toMatchObject({ best: 0.5, bestEpoch: 2 });
    expect(row("1,0\n2,0")).toMatchObject({ best: 0, bestEpoch: null });
  });
});

it("shows the figures of masks of the last evaluation, of each class too", () => {
  const folder = reportRun(join(root, "evaluated"));
  writeFileSync(join(folder, "evaluation.json"), JSON.stringify(maskedDetails()));
  const view = evaluationOf(readRun(folder), new NamedImages());
  expect(view).toMatchObject({ AP: 0.4, masks: { AP: 0.2, AP50: 0.3125 } });
  expect(view?.classes.map(({ AP, maskAP, maskAP50 }) => [AP, maskAP, maskAP50])).toEqual([
    [0.4, 0.2, 0.3125],
    [null, null, null],
  ]);
  expect([view?.threshold, view?.classes.map(({ best }) => best?.threshold)]).toEqual([0.31, [0.31, undefined]]);
});
