import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkProcesses, checkThreads, gpusHere, loadersOf, threadsOf } from "./shares.js";

describe("the cores of a machine", () => {
  it("are divided among its processes, at least one each", () => {
    expect(threadsOf({ localSize: 2 }, {}, 8)).toBe(4);
    expect(threadsOf({ localSize: 3 }, {}, 8)).toBe(2);
    expect(threadsOf({ localSize: 4 }, {}, 2)).toBe(1);
  });

  it("are what the user says by a variable, and what SLURM gives to a task", () => {
    expect(threadsOf({ localSize: 2 }, { OMP_NUM_THREADS: "3" }, 8)).toBeNull();
    expect(threadsOf({ localSize: 2 }, { MKL_NUM_THREADS: "3" }, 8)).toBeNull();
    expect(threadsOf({ localSize: 2 }, { SLURM_CPUS_PER_TASK: "6" }, 6)).toBe(6);
  });

  it("are enough for as many processes; more are warned of, many more refused", () => {
    expect(checkProcesses(8, 8)).toBeNull();
    expect(checkProcesses(3, 2)).toBe(
      "3 processes share 2 cores: fewer would train faster, except where each has a GPU",
    );
    expect(() => checkProcesses(9, 2)).toThrow(
      "Expected at most 8 for processes on a machine with 2 cores but received 9",
    );
  });

  it("are enough for as many threads, by the same rule", () => {
    expect(checkThreads(1, 1)).toBeNull();
    expect(checkThreads(4, 1)).toBe("4 threads share 1 core: fewer would compute faster");
    expect(() => checkThreads(999, 2)).toThrow(
      "Expected at most 8 for threads on a machine with 2 cores but received 999",
    );
  });
});

describe("the threads that load images", () => {
  it("are divided too, and none stay none", () => {
    expect([0, 1, 2, 5].map((workers) => loadersOf({ localSize: 2 }, workers))).toEqual([0, 1, 1, 3]);
  });
});

describe("the GPUs of a machine", () => {
  it("are those that a variable shows, those of the driver, or not known", () => {
    const folder = mkdtempSync(join(tmpdir(), "gpus-"));
    mkdirSync(join(folder, "0000:17:00.0"));
    expect(gpusHere({ CUDA_VISIBLE_DEVICES: "2,3" }, folder)).toBe(2);
    expect(gpusHere({ CUDA_VISIBLE_DEVICES: "" }, folder)).toBe(0);
    expect(gpusHere({}, folder)).toBe(1);
    rmSync(folder, { recursive: true });
    expect(gpusHere({}, folder)).toBeNull();
  });
});
