import { EventEmitter } from "node:events";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StopSignal } from "../run/control/stop-request.js";
import { type HostProcess, RunStopper } from "./run-stopper.js";

/** A process that computes `busy` microseconds a second, and what became of it. */
class FakeProcess extends EventEmitter {
  pid = 77;
  ppid = -1;
  env: NodeJS.ProcessEnv = {};
  busy = 900_000;
  bytes = 0;
  readonly killed: string[] = [];
  #start = Date.now();
  #used = 0;
  kill(_pid: number, signal?: string | number): true {
    this.killed.push(String(signal));
    return true;
  }
  cpuUsage() {
    const now = Date.now();
    this.#used += ((now - this.#start) / 1000) * this.busy;
    this.#start = now;
    return { user: this.#used, system: 0 };
  }
}

let host: FakeProcess;
let stopper: RunStopper;
let said: string[];
let stops: number;
let writing: string | null;
function watch(env: NodeJS.ProcessEnv = {}, isJoining = false): void {
  host = new FakeProcess();
  host.env = env;
  [said, stops, writing] = [[], 0, null];
  stopper = new RunStopper(
    {
      stop: () => void stops++,
      say: (line) => said.push(line),
      resume: () => "npx rfdetr train --resume runs/a",
      saving: () => writing,
      isJoining: () => isJoining,
    },
    host as unknown as HostProcess,
    () => host.bytes,
  );
}
beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  stopper.close();
  vi.useRealTimers();
});
const seconds = (count: number) => vi.advanceTimersByTime(count * 1000);

describe("RunStopper", () => {
  it("ends the other processes of the run before itself", () => {
    watch();
    const ends: string[] = [];
    Object.assign(stopper.actions, { quit: () => ends.push("others") });
    vi.spyOn(host, "kill").mockImplementation(() => {
      ends.push("itself");
      return true;
    });
    host.emit("SIGINT");
    seconds(2);
    host.emit("SIGINT");
    expect(ends).toEqual(["others", "itself"]);
  });

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] satisfies StopSignal[])("stops the run at %s", (signal) => {
    watch();
    host.emit(signal);
    expect([stopper.received, stops, host.killed]).toEqual([signal, 1, []]);
    expect(said).toEqual([expect.stringMatching(/saving a checkpoint, then stopping/i)]);
  });

  it("takes a second signal at once for the same, as npx sends it", () => {
    watch();
    host.emit("SIGINT");
    vi.advanceTimersByTime(900);
    host.emit("SIGINT");
    expect([stops, host.killed]).toEqual([1, []]);
  });

  it("quits at the first signal where the processes of a group have not met", () => {
    watch({}, true);
    host.emit("SIGTERM");
    expect([stops, host.killed]).toEqual([0, ["SIGTERM"]]);
    expect(said).toEqual(["SIGTERM: the processes have not met yet, so there is nothing to save."]);
  });

  it("quits at a second signal later on", () => {
    watch();
    host.emit("SIGINT");
    seconds(2);
    host.emit("SIGINT");
    expect(host.killed).toEqual(["SIGINT"]);
  });

  it("quits at a second signal also where the clock of the machine was set back", () => {
    watch();
    host.emit("SIGINT");
    seconds(2);
    vi.setSystemTime(Date.now() - 3_600_000);
    host.emit("SIGINT");
    expect(host.killed).toEqual(["SIGINT"]);
  });

  it("waits for a long step as long as it computes", () => {
    watch();
    host.emit("SIGTERM");
    seconds(600);
    expect(host.killed).toEqual([]);
  });

  it("waits for a checkpoint on a slow disk", () => {
    watch();
    host.busy = 2000;
    host.emit("SIGTERM");
    for (let second = 0; second < 60; second++) {
      host.bytes += 2 ** 20;
      seconds(1);
    }
    expect(host.killed).toEqual([]);
  });

  it("waits for a flush that takes long, and names what is written", () => {
    watch();
    host.busy = 2000;
    host.emit("SIGINT");
    writing = "runs/a/checkpoint";
    seconds(600);
    expect(host.killed).toEqual([]);
    expect(said.slice(1)).toEqual([
      "The disk is slow: runs/a/checkpoint is still being written, and the run ends when it is whole. Ctrl-C quits at once, with what was saved before.",
    ]);
    writing = null;
    seconds(25);
    expect(host.killed).toEqual(["SIGINT"]);
  });

  it("quits at a second signal while a flush takes long", () => {
    watch();
    host.busy = 2000;
    host.emit("SIGTERM");
    writing = "runs/a/weights/last.safetensors";
    seconds(60);
    expect(said[1]).toMatch(/ A second SIGTERM quits at once, with what was saved before\.$/);
    host.emit("SIGTERM");
    expect(host.killed).toEqual(["SIGTERM"]);
  });

  it("ends a run that neither computes nor answers, and says how to continue", () => {
    watch();
    host.busy = 2000;
    seconds(60);
    host.emit("SIGTERM");
    seconds(15);
    stopper.alive();
    seconds(15);
    expect(host.killed).toEqual([]);
    seconds(10);
    expect(host.killed).toEqual(["SIGTERM"]);
    expect(said.slice(1)).toEqual([
      expect.stringContaining("has not answered for 20 seconds"),
      "Continue with: npx rfdetr train --resume runs/a",
    ]);
  });

  it("ends without a word a run that is over but whose threads hang", () => {
    watch();
    host.busy = 2000;
    host.emit("SIGTERM");
    stopper.ended();
    seconds(5);
    expect(host.killed).toEqual(["SIGTERM"]);
    expect(said).toHaveLength(1);
  });

  it("stops when npx, which started it, is gone", () => {
    watch({ npm_execpath: "npm-cli.js" });
    seconds(5);
    expect(stops).toBe(0);
    host.ppid = 1;
    seconds(1);
    expect([stopper.received, stops]).toEqual(["SIGTERM", 1]);
  });

  it("goes on without the shell that started it in the background", () => {
    watch();
    host.ppid = 1;
    seconds(5);
    expect(stops).toBe(0);
  });

  it("leaves no listener behind", () => {
    watch();
    stopper.close();
    expect(host.eventNames()).toEqual([]);
  });
});
