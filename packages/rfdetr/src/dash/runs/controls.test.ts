import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ControlRequest, ControlState } from "../../run/control/control-files.js";
import { ControlInbox } from "../../run/control/control-inbox.js";
import { RunLock } from "../../run/files/run-lock.js";
import { writeExampleRun } from "../../testing/runs/example-run.js";
import { controlRun, controlsOf, liveState } from "./controls.js";
import { RunFolders } from "./run-folders.js";
import { RunRows } from "./run-row.js";

const root = realpathSync(mkdtempSync(join(tmpdir(), "dash-")));
writeExampleRun(join(root, "run"), { steps: 10 });
const [run] = new RunFolders(root).list();
afterAll(() => rmSync(root, { recursive: true }));

describe("a run in progress", () => {
  let lock: RunLock;
  let inbox: ControlInbox;
  let answering: NodeJS.Timeout;
  const taken: ControlRequest[] = [];
  const state: Omit<ControlState, "session"> = { paused: false, step: 7, overrides: {}, undoable: 0 };

  beforeEach(() => {
    lock = RunLock.acquire(run.path);
    inbox = new ControlInbox(run.path);
    inbox.show(state);
    taken.length = 0;
    answering = setInterval(() => {
      const request = inbox.take();
      if (request === null) return;
      taken.push(request);
      const accepted = request.command !== "undo";
      inbox.answer(request, {
        ...state,
        accepted,
        message: accepted ? `does ${request.command}` : "There is no override",
      });
    }, 5);
  });
  afterEach(() => {
    clearInterval(answering);
    inbox.close();
    lock.release();
  });

  it("can be paused, stopped and given other precisions", () => {
    expect(controlsOf(run)).toEqual({ controls: ["pause", "override", "stop"], overrides: {} });
    expect(new RunRows(liveState).row(run).state).toBe("running");
  });

  it("that is paused can go on; overrides can be taken back", () => {
    inbox.show({ ...state, paused: true, undoable: 1, overrides: { bbox_embed: "fp32" } });
    expect(controlsOf(run)).toEqual({
      controls: ["go-on", "override", "undo", "stop"],
      overrides: { bbox_embed: "fp32" },
    });
    expect(new RunRows(liveState).row(run).state).toBe("paused");
  });

  it("is asked, and its answer is told", async () => {
    await expect(controlRun(run, { command: "pause" })).resolves.toBe("does pause");
    const override = { command: "override", pattern: "transformer.*", rule: "fp32" };
    await expect(controlRun(run, override)).resolves.toBe("does override");
    expect(taken[1]).toMatchObject(override);
    await expect(controlRun(run, { command: "undo" })).rejects.toThrow("There is no override");
  });

  it("is never asked for what is no command", async () => {
    for (const request of [null, "stop", { command: "rm" }, { command: "override", pattern: "", rule: "fp32" }])
      await expect(controlRun(run, request)).rejects.toThrow(/Expected a command to a run/);
    expect(taken).toEqual([]);
  });
});

describe("a run that has ended", () => {
  it("can be asked for nothing", async () => {
    expect(controlsOf(run).controls).toEqual([]);
    await expect(controlRun(run, { command: "stop" })).rejects.toThrow(/Expected a run in progress/);
  });
});
