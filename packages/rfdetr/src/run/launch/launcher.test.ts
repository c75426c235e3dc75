import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { untrainedRanks } from "../../testing/ranks/untrained-ranks.js";
import { StopRequest } from "../control/stop-request.js";
import { RunLock } from "../files/run-lock.js";

const folder = mkdtempSync(join(tmpdir(), "launch-"));
afterAll(() => rmSync(folder, { recursive: true }));
const { rank, processes, running, launch } = untrainedRanks(folder);

describe("the processes of a run", () => {
  it("get their places, and the events of rank 0 are those of the run", async () => {
    const { events, ended } = launch(
      rank("places", 'await tell({ event: { type: "note", message: JSON.stringify({ ...place, port: 0 }) } });'),
    );
    await ended;
    const told = events.map((event) => ("message" in event ? JSON.parse(event.message) : event));
    const common = { size: 3, localSize: 3, address: "127.0.0.1", port: 0, prefix: "rfdetr/0", timeoutSeconds: 7 };
    expect(told.sort((a, b) => a.rank - b.rank)).toEqual([
      { rank: 0, localRank: 0, isStoreServer: true, storeFd: 4, ...common },
      { rank: 1, localRank: 1, isStoreServer: false, ...common },
      { rank: 2, localRank: 2, isStoreServer: false, ...common },
    ]);
  });

  it("find a socket that listens on loopback alone, and rank 0 serves it", async () => {
    const { events, ended } = launch(
      rank(
        "socket",
        `const net = await import("node:net");
         let served = 0;
         if (rank === 0) await new Promise((done) => net.createServer((client) => {
           client.end("store", () => ++served === 2 && done());
         }).listen({ fd: place.storeFd }));
         else await new Promise((done) => net.connect(place.port, place.address).on("data", async (data) => {
           await tell({ event: { type: "note", message: String(data) } });
           done();
         }));`,
      ),
    );
    await ended;
    expect(events).toEqual([1, 2].map(() => ({ type: "note", message: "store" })));
  });
});

describe("what rank 0 writes", () => {
  it("is known to who asks the launcher to stop", async () => {
    const stop = new StopRequest();
    const seen: (string | null)[] = [];
    const tells = `await tell({ saving: rank === 0 ? "runs/a/checkpoint" : "else" });
      if (rank === 0) await tell({ event: { type: "note", message: "writes" } });
      await stopped;
      await tell({ saving: null });`;
    const { events, ended } = launch(rank("saving", tells), { stop });
    await vi.waitUntil(() => events.length > 0, { timeout: 30_000, interval: 20 });
    seen.push(stop.saving);
    stop.ask();
    await ended;
    expect([...seen, stop.saving]).toEqual(["runs/a/checkpoint", null]);
  });
});

describe("a request to stop", () => {
  const waiting = `const signal = await stopped;
    if (rank === 0) await tell({ event: { type: "note", message: "stopped by " + signal } });`;

  it("reaches every process", async () => {
    const stop = new StopRequest();
    const { events, ended } = launch(rank("stop", waiting), { stop });
    stop.ask("SIGINT");
    await ended;
    expect(events).toEqual([{ type: "note", message: "stopped by SIGINT" }]);
  });

  it("may come by a signal to any of them", async () => {
    const stop = new StopRequest();
    const { events, ended } = launch(rank("signal", `if (rank === 2) await tell({ signal: "SIGTERM" });\n${waiting}`), {
      stop,
    });
    await ended;
    expect(stop.signal).toBe("SIGTERM");
    expect(events).toEqual([
      { type: "note", message: "Rank 2 received SIGTERM: all save and end" },
      { type: "note", message: "stopped by SIGTERM" },
    ]);
  });

  it("is not told of a rank where the signal was to all, as a Ctrl-C is", async () => {
    const stop = new StopRequest();
    const body = `await tell({ signal: "SIGINT" });\nawait tell({ event: { type: "note", message: "told" } });\n${waiting}`;
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { events, ended } = launch(rank("ctrl-c", body), { stop });
    while (events.length === 0) await new Promise(setImmediate);
    stop.ask("SIGINT");
    vi.advanceTimersByTime(1000);
    vi.useRealTimers();
    await ended;
    expect(events).not.toContainEqual(expect.objectContaining({ message: expect.stringContaining("received") }));
  });
});

describe("a process that fails", () => {
  const lost =
    'else { await failure("ERR_DISTRIBUTED", "the connection broke", { family: undefined }); process.exit(1); }';

  it.each([
    [
      "said why",
      `if (rank === 1) { await failure("ERR_MEMORY", "Memory ran out", { hint: "Give it more" }); process.exit(1); } ${lost}`,
      { message: `Rank 1 on ${hostname()} ended: Memory ran out`, code: "ERR_RANK", hint: "Give it more" },
    ],
    [
      "was killed",
      `if (rank === 2) process.kill(process.pid, "SIGKILL"); ${lost}`,
      { message: `Rank 2 on ${hostname()} was ended by SIGKILL`, code: "ERR_RANK" },
    ],
    [
      "crashed with a word",
      `if (rank === 1) { console.error("out of luck"); process.exit(134); } ${lost}`,
      { message: `Rank 1 on ${hostname()} ended with code 134`, hint: "It said last: out of luck" },
    ],
    [
      "is rank 0, whose error is that of the run",
      `if (rank === 0) { await failure("ERR_DATA", "No images", { name: "DataError" }); process.exit(1); } ${lost}`,
      { name: "DataError", message: "No images", code: "ERR_DATA" },
    ],
    [
      "differs from the others, which all say it",
      'await failure("ERR_RANK", "The ranks have other settings"); process.exit(1);',
      { message: "The ranks have other settings" },
    ],
  ])("gives one cause and leaves no process: one that %s", async (name, body, error) => {
    const stderr = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    await expect(launch(rank(name, body)).ended).rejects.toMatchObject(error);
    stderr.mockRestore();
    expect(processes(name)).toHaveLength(3);
    expect(running(name)).toEqual([]);
  });

  it("gives one cause and leaves no process: one that hangs", async () => {
    const name = "hangs";
    const body = `if (rank === 1) await new Promise(() => setInterval(() => {}, 1000)); ${lost}`;
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const failed = expect(launch(rank(name, body)).ended).rejects.toMatchObject({
      message: `Rank 1 on ${hostname()} did not answer the others for 7 seconds`,
      code: "ERR_RANK",
    });
    const isLeft = () => processes(name).length === 3 && running(name).join() === "1" && vi.getTimerCount() > 0;
    while (!isLeft()) await new Promise(setImmediate);
    vi.advanceTimersByTime(1e6);
    vi.useRealTimers();
    await failed;
    expect(running(name)).toEqual([]);
  });

  it("does not fail the run once rank 0 is done", async () => {
    const name = "late";
    await launch(rank(name, "if (rank > 0) await new Promise(() => setInterval(() => {}, 1000));", 300)).ended;
    expect(running(name)).toEqual([]);
  });
});

describe("a run that may restart", () => {
  it("goes on in all processes when one is lost, as often as it may", async () => {
    const run = join(folder, "run");
    const { events, ended } = launch(
      rank(
        "again",
        `if (request.resume !== null && rank === 0) await tell({ event: { type: "note", message: request.resume + " " + place.prefix } });
         const begun = ${JSON.stringify(join(folder, "begun"))};
         if (rank === 0) await tell({ event: { type: "start", dir: ${JSON.stringify(run)} } });
         if (rank === 0) writeFileSync(begun, "");
         if (rank === 1) {
           while (!existsSync(begun)) await new Promise((later) => setTimeout(later, 5));
           process.kill(process.pid, "SIGKILL");
         }
         await stopped;`,
        300,
      ),
      { maxRestarts: 1 },
    );
    // The folder that the rank names is none.
    await expect(ended).rejects.toThrow("does not exist");
    expect(events.at(-1)).toEqual({
      type: "warning",
      message: `Rank 1 on ${hostname()} was ended by SIGKILL. All 3 processes start anew from the last checkpoint (restart 1 of at most 1)`,
    });
  });

  it("does not when a process has said why it failed: that would come again", async () => {
    const { events, ended } = launch(
      rank(
        "useless",
        `if (rank === 0) await tell({ event: { type: "start", dir: "run" } });
         await failure("ERR_NUMERICS", "The loss is not finite"); process.exit(1);`,
      ),
      { maxRestarts: 3 },
    );
    await expect(ended).rejects.toThrow("The loss is not finite");
    expect(events).toHaveLength(1);
  });
});

describe("the lock of a run", () => {
  it("is removed for a process that is gone, and for no other", () => {
    RunLock.acquire(folder);
    const holder = JSON.parse(readFileSync(join(folder, "lock"), "utf8"));
    const left = { ...holder, pid: 2 ** 22 + 1, process: "gone" };
    writeFileSync(join(folder, "lock"), JSON.stringify(left));
    RunLock.abandon(folder, 1);
    RunLock.abandon(folder);
    expect(readFileSync(join(folder, "lock"), "utf8")).toContain(String(left.pid));
    RunLock.abandon(folder, left.pid);
    expect(RunLock.isHeld(folder)).toBe(false);
    expect(() => readFileSync(join(folder, "lock"))).toThrow("ENOENT");
  });
});
