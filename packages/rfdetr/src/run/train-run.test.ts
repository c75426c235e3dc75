import { spawnSync } from "node:child_process";
import { getEventListeners } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it, vi } from "vitest";
import { resolveSettings } from "../settings/resolve.js";
import { TrainRun } from "./train-run.js";

const built = new URL("../../dist/run/train-run.js", import.meta.url).href;
const settingsScript = new URL("../../dist/settings/resolve.js", import.meta.url).href;
const nowhere = fileURLToPath(new URL("./no-such-dataset", import.meta.url));

/** Runs a module given as text in a process of its own, as `node --input-type=module --eval` does. */
function evaluate(code: string): { status: number | null; stderr: string } {
  const start = `
    import { TrainRun } from ${JSON.stringify(built)};
    import { resolveSettings } from ${JSON.stringify(settingsScript)};
    const run = TrainRun.start(resolveSettings({ datasetDir: ${JSON.stringify(nowhere)}, model: "tiny" }));
  `;
  return spawnSync(process.execPath, ["--input-type=module", "--eval", start + code], { encoding: "utf8" });
}

describe("a training run that fails", () => {
  it("is not silent where nobody iterates or awaits it", () => {
    const { status, stderr } = evaluate("");
    expect(status).toBe(1);
    expect(stderr).toContain("no-such-dataset");
  });

  it("is handled by who iterates, or by who awaits its result", () => {
    for (const code of [
      "try { for await (const _ of run); } catch (error) { console.error(error.code); }",
      "await run.result.catch((error) => console.error(error.code));",
    ])
      expect(evaluate(code)).toMatchObject({ status: 0, stderr: expect.stringMatching(/^ERR_\w+\n$/) });
  });
});

describe("the iterations of a run", () => {
  it("end each, several at the same time and one that begins when the run has ended", async () => {
    const run = TrainRun.start(resolveSettings({ datasetDir: nowhere, model: "tiny" }));
    const iterate = async (): Promise<void> => {
      for await (const _ of run);
    };
    const ends = await Promise.allSettled([iterate(), iterate(), run.result]);
    for (const end of [...ends, ...(await Promise.allSettled([iterate()]))])
      expect(end).toMatchObject({ status: "rejected", reason: { code: "ERR_DATA" } });
  });
});

describe("restarts", () => {
  const settings = resolveSettings({ datasetDir: nowhere, model: "tiny" });
  afterEach(() => void vi.unstubAllEnvs());

  it("are refused for one process, which nobody would start anew", () => {
    expect(() => TrainRun.start(settings, { maxRestarts: 2 })).toThrow(
      "Expected several processes with restarts but received one process and 2",
    );
  });

  it("are refused under a launcher, which starts processes anew itself", () => {
    const launched = { RANK: "1", WORLD_SIZE: "2", MASTER_ADDR: "127.0.0.1", MASTER_PORT: "29500" };
    for (const [name, value] of Object.entries(launched)) vi.stubEnv(name, value);
    expect(() => TrainRun.start({ ...settings, processes: 2 }, { maxRestarts: 2 })).toThrow(
      "Expected no restarts under a launcher but received 2",
    );
  });
});

describe("the signal of a run", () => {
  it("has no listener any more when the run has ended", async () => {
    const { signal } = new AbortController();
    const run = TrainRun.start(resolveSettings({ datasetDir: nowhere, model: "tiny" }), { signal });
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    await expect(run.result).rejects.toThrow("no-such-dataset");
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });
});
