// Processes that hang, or save, while the others end.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { untrainedRanks } from "../../testing/ranks/untrained-ranks.js";
import { StopRequest } from "../control/stop-request.js";

const folder = mkdtempSync(join(tmpdir(), "hung-rank-"));
afterAll(() => rmSync(folder, { recursive: true }));
const { rank, processes, running, launch } = untrainedRanks(folder);

describe.runIf(process.platform === "linux")("a process that hangs when all are to save and end", () => {
  it.each([1, 0])("is given up, and named, where it was stopped: rank %i", async (held) => {
    const name = `held-${held}`;
    const stop = new StopRequest();
    // The others wait for it, as long as it is there.
    const body = `if (rank === ${held}) process.kill(process.pid, "SIGSTOP");
      await stopped;
      const pid = Number(readFileSync(${JSON.stringify(join(folder, name))}, "utf8").match(/^${held} (\\d+)/m)[1]);
      const isThere = () => { try { return process.kill(pid, 0); } catch { return false; } };
      while (isThere()) await new Promise((later) => setTimeout(later, 20));
      await failure("ERR_DISTRIBUTED", "the connection broke", { family: undefined });
      process.exit(1);`;
    const { ended } = launch(rank(name, body, 1e6, 2), { stop });
    const failed = expect(ended).rejects.toMatchObject({
      code: "ERR_RANK",
      message: `Rank ${held} on ${hostname()} was stopped from outside, as by SIGSTOP or a debugger, and did not end within 2 seconds after all were asked to save and end`,
    });
    await vi.waitUntil(() => processes(name).length === 3, { timeout: 30_000, interval: 20 });
    stop.ask("SIGINT");
    await failed;
    expect(running(name)).toEqual([]);
  });

  it("ends with all others where all are to end at once", async () => {
    const name = "quit";
    const stop = new StopRequest();
    const { ended } = launch(rank(name, 'process.kill(process.pid, "SIGSTOP");'), { stop });
    const failed = expect(ended).rejects.toThrow();
    await vi.waitUntil(() => processes(name).length === 3, { timeout: 30_000, interval: 20 });
    stop.quit();
    await failed;
    expect(running(name)).toEqual([]);
  });
});

describe.runIf(process.platform === "linux")("the loss of a process", () => {
  it("leaves rank 0 the time to save, as long as it does something", async () => {
    const name = "saves";
    const saved = join(folder, "saved");
    const body = `if (rank > 0) process.kill(process.pid, "SIGKILL");
      for (const end = Date.now() + 2000; Date.now() < end;)
        writeFileSync(${JSON.stringify(`${saved}.part`)}, "x".repeat(1e5));
      writeFileSync(${JSON.stringify(saved)}, "");
      await failure("ERR_DISTRIBUTED", "the connection broke", { family: undefined });
      process.exit(1);`;
    await expect(launch(rank(name, body, 300)).ended).rejects.toMatchObject({
      message: `Rank 1 on ${hostname()} was ended by SIGKILL`,
    });
    expect(existsSync(saved)).toBe(true);
    expect(running(name)).toEqual([]);
  });
});
