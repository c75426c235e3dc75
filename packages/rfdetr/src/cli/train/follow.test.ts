import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { expect, it } from "vitest";
import type { TrainResult, TrainRun } from "../../run/train-run.js";
import { runSummary } from "../../testing/runs/run-events.js";
import { Console } from "../console/console.js";
import { follow } from "./follow.js";

const part = { images: 4, objects: 9, sha256: "0" };

/** A run that has ended and is asked to continue: it has no event. */
function endedRun(dir: string): TrainRun {
  const result: TrainResult = { endedBefore: true, summary: runSummary, dir, best: null, last: null };
  return {
    place: null,
    processes: 1,
    isJoining: false,
    result: Promise.resolve(result),
    async *[Symbol.asyncIterator]() {},
  } as unknown as TrainRun;
}

it("predicts the images of its data after a run that had ended already", async () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "follow-")));
  const [dir, data] = [join(root, "runs/birds"), join(root, "birds")];
  for (const folder of [dir, join(data, "valid")]) mkdirSync(folder, { recursive: true });
  const config = {
    started: "2026-01-02T03:04:05.000Z",
    settings: { dataset_dir: data },
    seed: 1,
    class_names: ["bird"],
    precision: "32-true",
    reason: "",
    data: { path: data, relative: "../../birds", train: part, valid: part },
  };
  writeFileSync(join(dir, "config.json"), JSON.stringify(config));
  let text = "";
  const out = new Writable({ write: (chunk, _, next) => (text += String(chunk)) && next() });
  expect(await follow(endedRun(dir), new Console({ plain: true }, { out, err: out }))).toBe(0);
  expect(text).toContain("has ended already");
  expect(text).toContain(`predict ${join(data, "valid")} --weights ${dir}`);
  rmSync(root, { recursive: true });
});
