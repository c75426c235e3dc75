import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { maskedDetails } from "../../testing/runs/masked-details.js";
import { epochEvent } from "../../testing/runs/run-events.js";
import { RunDirectory } from "../files/run-directory.js";
import type { Session } from "../session/session.js";
import { MetricsRecorder } from "./metrics.js";
import type { RecordedEpoch } from "./recorder.js";

let folder: string;
let directory: RunDirectory;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "metrics-"));
  directory = RunDirectory.create(join(folder, "run"), "run");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The columns and the row of an epoch. */
function recorded(masks: boolean, epoch: Partial<RecordedEpoch>): Record<string, string> {
  const session = {
    directory,
    resumed: false,
    progress: { epochSums: { norms: { sum: 0, steps: 0 } }, trainSeconds: 1, skipped: 0 },
    settings: { evalMaxDets: 100 },
    warnings: [],
  } as unknown as Session;
  const event = masks ? { ...epochEvent, masks: { ap: null, ap50: null, ap75: null, perClass: [] } } : epochEvent;
  new MetricsRecorder(session).epoch({ event, summary: null, base: null, ...epoch } as RecordedEpoch);
  const [header, row] = readFileSync(directory.file("metrics.csv"), "utf8").trimEnd().split("\n");
  const cells = row.split(",");
  return Object.fromEntries(header.split(",").map((name, i) => [name, cells[i]]));
}

it("has columns of masks for models with masks", () => {
  expect(recorded(true, { summary: maskedDetails() })).toMatchObject({
    "val/AP_small": "0.25",
    "val/mask_AP": "0.2",
    "val/mask_AP50": "0.3125",
    "val/mask_AP_small": "0.125",
    "val/mask_AP_large": "",
    "val/mask_AR": "0.25",
    "val/base_mask_AP": "",
  });
});

it("has the same columns in an epoch that was not evaluated", () => {
  expect(recorded(true, {})).toMatchObject({ "val/mask_AP": "", "val/mask_AR": "" });
});

it("speaks of no masks where the model has none", () => {
  expect(Object.keys(recorded(false, {})).filter((name) => name.includes("mask"))).toEqual([]);
});
