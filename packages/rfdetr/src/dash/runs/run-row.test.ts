import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readRun } from "../../report/records/run-record.js";
import { maskedDetails } from "../../testing/runs/masked-details.js";
import { reportRun } from "../../testing/runs/report-run.js";
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
