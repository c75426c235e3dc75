import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import type { TrainEvent } from "./events.js";
import { RunDirectory } from "./run-directory.js";
import { logged } from "./run-log.js";

let directory: RunDirectory;
beforeEach(() => {
  directory = RunDirectory.create(mkdtempSync(join(tmpdir(), "log-")), "x");
});

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
    const lines = readFileSync(directory.file("log.txt"), "utf8").trim().split("\n");
    expect(lines.map((line) => line.replace(/^\S+ /, ""))).toEqual([
      "warning: a  [2Jname",
      "failed: the disk is gone",
      "warning: a  [2Jname",
    ]);
  });

  it("that cannot be written stops nothing", async () => {
    mkdirSync(directory.file("log.txt"));
    expect(await all(null)).toHaveLength(2);
  });
});
