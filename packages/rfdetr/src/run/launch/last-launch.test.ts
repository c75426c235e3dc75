import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { continued, launchOf, mayRestart, recordLaunch } from "./last-launch.js";

const torchrun = (random: string, attempt: number) => ({
  TORCHELASTIC_RUN_ID: "none",
  TORCHELASTIC_ERROR_FILE: `/scratch/torchelastic_x/none_${random}/attempt_${attempt}/0/error.json`,
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "launch-"));
});
afterEach(() => rmSync(folder, { recursive: true }));
const begin = (env: Record<string, string>): void => {
  writeFileSync(join(folder, "config.json"), "{}");
  recordLaunch(folder, env);
};

describe("a launch", () => {
  it("is the same in all its restarts, and no other", () => {
    expect(launchOf(torchrun("abc", 0))).toBe(launchOf(torchrun("abc", 2)));
    expect(launchOf(torchrun("abc", 0))).not.toBe(launchOf(torchrun("def", 0)));
    expect(launchOf({ SLURM_JOB_ID: "7" })).toBe("SLURM job 7");
    expect(launchOf({})).toBeNull();
  });

  it("may restart if torchrun was told so", () => {
    expect([{}, { TORCHELASTIC_MAX_RESTARTS: "0" }, { TORCHELASTIC_MAX_RESTARTS: "2" }].map(mayRestart)).toEqual([
      false,
      false,
      true,
    ]);
  });
});

describe("a process that its launcher has started anew", () => {
  it("continues the run that this launch began", () => {
    begin(torchrun("abc", 0));
    expect(continued(folder, 1, torchrun("abc", 1))).toBe(folder);
  });

  it("begins where there is no run yet", () => {
    expect(continued(folder, 1, torchrun("abc", 1))).toBeNull();
  });

  it("leaves the run of another launch alone, and one of which nobody knows who began it", () => {
    begin(torchrun("abc", 0));
    const message = "was not begun by this launch, so that a restart does not continue it";
    expect(() => continued(folder, 1, torchrun("def", 1))).toThrow(message);
    rmSync(join(folder, "launch.json"));
    expect(() => continued(folder, 1, torchrun("abc", 1))).toThrow(message);
  });

  it("needs the folder of the run", () => {
    expect(() => continued(null, 1, torchrun("abc", 1))).toThrow("nothing says which run they are to continue");
  });
});

describe("a process that was not started anew", () => {
  it("continues nothing by itself", () => {
    begin(torchrun("abc", 0));
    expect(continued(folder, 0, torchrun("abc", 0))).toBeNull();
    expect(continued(null, 0, {})).toBeNull();
  });
});
