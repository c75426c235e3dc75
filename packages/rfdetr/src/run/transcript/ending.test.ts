import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fieldLines } from "../../support/format.js";
import { runSummary } from "../../testing/runs/run-events.js";
import type { TestEvent } from "../events/events.js";
import type { RunSummary } from "../files/run-directory.js";
import { endingFields } from "./ending.js";

const root = mkdtempSync(join(tmpdir(), "ending-"));
const before = process.cwd();
beforeAll(() => process.chdir(root));
afterAll(() => {
  process.chdir(before);
  rmSync(root, { recursive: true });
});

function ending(summary: Partial<RunSummary> = {}, dir = "runs/nano", test: TestEvent | null = null): string[] {
  const weights = (name: string): string => join(dir, "weights", `${name}.safetensors`);
  const best = summary.best_epoch === null ? null : weights("best");
  const done = { endedBefore: false, summary: { ...runSummary, ...summary }, dir, best, last: weights("last") };
  return fieldLines(endingFields(done, test));
}

describe("the last lines of a run", () => {
  it("say the result, how it ended, and where the weights are", () => {
    expect(ending()).toEqual([
      "result     AP 0.512, AP50 0.700 in epoch 41 of 50, the best",
      "run        finished after 4,700 steps (2 skipped)",
      "           1:02:03 of training in 16-mixed, peak memory 2.10 GiB",
      "weights    runs/nano/weights/best.safetensors (best, of epoch 41)",
    ]);
  });

  it("say that the planned steps are done, and no fault, where the steps were given", () => {
    expect(ending({ stop_reason: "max_steps", steps: 2000 })[1]).toBe(
      "run        finished the 2,000 planned steps (2 skipped)",
    );
    expect(ending({ stop_reason: "time_budget" })[1]).toContain("ended by its time budget after 4,700 steps");
  });

  it("do not call the epochs that have ended those of the run, where more are planned", () => {
    const first = { stop_reason: "interrupted", best_epoch: 1, epochs: 1 } as const;
    expect(ending(first)[0]).toBe("result     AP 0.512, AP50 0.700 in epoch 1, the only one so far");
    expect(ending({ stop_reason: "failed" })[0]).toMatch(/ in epoch 41, the best of 50 so far$/);
  });

  it("say which callback ended the run, and why", () => {
    const stopped = { stop_reason: "callback", stop_message: "plateau: AP stays" } as const;
    expect(ending(stopped)[1]).toBe(
      "run        stopped by a callback (plateau: AP stays) after 4,700 steps (2 skipped)",
    );
  });

  it("say how many processes trained, and whose memory is told", () => {
    expect(ending({ processes: 2 })[2]).toBe(
      "           1:02:03 of training in 16-mixed by 2 processes, peak memory of rank 0 2.10 GiB",
    );
  });

  it("name report and pictures where they exist", () => {
    mkdirSync(join(root, "runs/seen/pictures"), { recursive: true });
    writeFileSync(join(root, "runs/seen/report.html"), "");
    const lines = ending({}, join(root, "runs/seen"));
    expect(lines).toContain("report     runs/seen/report.html");
    expect(lines).toContain("pictures   runs/seen/pictures");
  });

  it("have the figures of the test split below the result", () => {
    const test: TestEvent = { type: "test", ap: 0.5, ap50: null, perClass: [] };
    expect(ending({}, "runs/nano", test)[1]).toBe("test       AP 0.500, AP50 – on the test split");
  });

  it("have the figures of masks first where the model has them", () => {
    expect(ending({ mask_AP: 0.4, mask_AP50: 0.65 })[0]).toBe(
      "result     mask AP 0.400, mask AP50 0.650, box AP 0.512, box AP50 0.700 in epoch 41 of 50, the best",
    );
    const masks = { ap: 0.4, ap50: 0.65, ap75: null, perClass: [] };
    expect(ending({}, "runs/nano", { type: "test", ap: 0.5, ap50: 0.7, perClass: [], masks })[1]).toBe(
      "test       mask AP 0.400, mask AP50 0.650, box AP 0.500, box AP50 0.700 on the test split",
    );
    expect(ending({ mask_AP: null, mask_AP50: null })[0]).toBe("result     no figures to choose the best weights by");
    expect(ending({ AP: 0.1, mask_AP: 0, mask_AP50: 0 })[0]).toMatch(/^result +mask AP 0.000, .* box AP 0.100/);
  });

  it("call no weights the best while nothing was found", () => {
    const lines = ending({ AP: 0, AP50: 0, best_epoch: 50 });
    expect(lines[0]).toBe("result     AP 0 after 50 epochs: no detection was right so far");
    expect(lines[3]).toBe("weights    runs/nano/weights/best.safetensors (of epoch 50)");
  });

  it("say what is not there", () => {
    const [result, , , weights] = ending({ best_epoch: null, AP: null, skipped_steps: 0 });
    expect(result).toBe("result     no figures to choose the best weights by");
    expect(weights).toBe("weights    runs/nano/weights/last.safetensors (of the end)");
    expect(ending({ epochs: 0, best_epoch: null })[0]).toBe("result     none yet: no epoch has ended");
    expect(ending({ bad_images: 1 })[3]).toBe("           1 image could not be read and took no part");
    expect(ending({ skipped_steps: 0 })[1]).toContain("(none skipped)");
  });
});
