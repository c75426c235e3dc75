import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { RunLock } from "./run-lock.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lock-"));
});

const lock = (content: object): void => writeFileSync(join(folder, "lock"), JSON.stringify(content));
const held = { started: "2026-01-02T03:04:05.000Z", process: null };

describe("the lock of a run", () => {
  it("says who holds it, and is gone once it is given back", () => {
    const taken = RunLock.acquire(folder);
    expect(JSON.parse(readFileSync(join(folder, "lock"), "utf8"))).toEqual({
      pid: process.pid,
      host: hostname(),
      started: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      process: expect.anything(),
    });
    taken.release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is not given twice, also not to the same process", () => {
    const taken = RunLock.acquire(folder);
    expect(() => RunLock.acquire(folder)).toThrow(
      new RegExp(`^The run ${folder} is in progress \\(pid ${process.pid} on ${hostname()} since .+\\)$`),
    );
    taken.release();
    RunLock.acquire(folder).release();
  });

  it("of a process that lives is respected", async () => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    try {
      lock({ pid: child.pid, host: hostname(), ...held });
      expect(() => RunLock.acquire(folder)).toThrow(`pid ${child.pid} on ${hostname()} since ${held.started}`);
    } finally {
      child.kill();
    }
  });

  it("of a process that is gone is replaced", () => {
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    lock({ pid, host: hostname(), ...held });
    RunLock.acquire(folder).release();
    expect(existsSync(join(folder, "lock"))).toBe(false);
  });

  it.runIf(existsSync("/proc/self/stat"))(
    "of a process that has ended unnoticed by its parent is replaced",
    async () => {
      // A shell would take note of the end of its child; the child waits until the shell has become another program.
      const child = 'while [ "$(cat /proc/$$/comm)" = sh ]; do :; done';
      const parent = spawn("sh", ["-c", `(${child}) & echo $!; exec sleep 60`]);
      const pid = Number(String(await new Promise((read) => parent.stdout.once("data", read))));
      try {
        await vi.waitUntil(() => readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "), { timeout: 30_000 });
        lock({ pid, host: hostname(), ...held });
        RunLock.acquire(folder).release();
      } finally {
        parent.kill();
      }
    },
  );

  it("of an earlier process with the number of one that lives is replaced", () => {
    lock({ pid: process.pid, host: hostname(), ...held, process: "another boot 1" });
    RunLock.acquire(folder).release();
  });

  it("that a power cut left without its content is replaced", () => {
    writeFileSync(join(folder, "lock"), "");
    RunLock.acquire(folder).release();
  });

  it("of another machine is respected, and the way to remove it is named", () => {
    lock({ pid: 1, host: "elsewhere", ...held });
    expect(() => RunLock.acquire(folder)).toThrow(
      expect.objectContaining({
        message: `The run ${folder} is in progress (pid 1 on elsewhere since ${held.started})`,
        hint: `If it does not run any more, remove ${join(folder, "lock")}`,
      }),
    );
  });

  it("of a thread that died can be removed by its process, and no other", () => {
    RunLock.acquire(folder);
    RunLock.abandon(folder);
    expect(existsSync(join(folder, "lock"))).toBe(false);
    lock({ pid: process.pid, host: "elsewhere", ...held });
    RunLock.abandon(folder);
    expect(existsSync(join(folder, "lock"))).toBe(true);
  });

  it("that another process has taken meanwhile is not removed", () => {
    const taken = RunLock.acquire(folder);
    lock({ pid: 1, host: "elsewhere", ...held });
    taken.release();
    expect(existsSync(join(folder, "lock"))).toBe(true);
  });
});
