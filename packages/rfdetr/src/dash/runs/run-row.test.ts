import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
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
