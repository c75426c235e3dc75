import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CustomCodeError, InternalError, MemoryError } from "../../support/errors.js";
import { workerPath } from "../../support/machine/worker-path.js";
import { createBudget, takeBudget } from "./memory-budget.js";
import { WorkerPool } from "./worker-pool.js";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "worker-pool-"));
});
afterAll(() => rmSync(root, { recursive: true }));

/** A pool whose threads run `body` for each `job`, with `answer(result)`. */
function pool(count: number, body: string, limits = {}, guests: readonly string[] = []): WorkerPool<string, unknown> {
  const script = join(root, `${Math.random()}.mjs`);
  writeFileSync(
    script,
    `import { parentPort } from "node:worker_threads";
     const answer = (result) => parentPort.postMessage({ result });
     parentPort.on("message", async (job) => { ${body} });`,
  );
  return new WorkerPool(script, count, limits, guests);
}

describe("WorkerPool", () => {
  it("does every job, one at a time in each thread", async () => {
    const threads = pool(
      2,
      `globalThis.running = (globalThis.running ?? 0) + 1;
       await new Promise((done) => setTimeout(done, 2));
       answer([job, globalThis.running--]);`,
    );
    const jobs = Array.from({ length: 20 }, (_, i) => String(i));
    expect(await Promise.all(jobs.map((job) => threads.run(() => job, "wait")))).toEqual(jobs.map((job) => [job, 1]));
    await threads.close();
  });

  it("starts no more threads than there are jobs at once", async () => {
    const started = new Int32Array(new SharedArrayBuffer(4));
    const script = join(root, "counting.mjs");
    writeFileSync(
      script,
      `import { parentPort, workerData } from "node:worker_threads";
       Atomics.add(workerData, 0, 1);
       parentPort.on("message", (result) => parentPort.postMessage({ result }));`,
    );
    const threads = new WorkerPool<string, unknown>(script, 64, { workerData: started });
    for (let i = 0; i < 5; i++) await Promise.all(["a", "b", "c"].map((job) => threads.run(() => job, "answer")));
    await threads.close();
    expect(started[0]).toBe(3);
  });

  it("fails all jobs at once when a thread ends by itself, and every later one", async () => {
    const threads = pool(2, `if (job === "end") process.exit(7); await new Promise(() => {});`);
    const jobs = ["wait", "end", "wait", "wait"].map((job) => threads.run(() => job, `prepare ${job}.jpg`));
    for (const job of jobs)
      await expect(job).rejects.toThrow(/a thread to prepare end\.jpg but it ended by itself with code 7/);
    await expect(threads.run(() => "wait", "prepare wait.jpg")).rejects.toThrow(InternalError);
  });

  it("names the code of a user that runs in a thread which ends", async () => {
    const threads = pool(1, "process.exit(3);", {}, ["the augmentation rain of /birds/rain.js"]);
    const failed = threads.run(() => "x", "prepare x.jpg");
    await expect(failed).rejects.toThrow(
      "Expected a thread to prepare x.jpg but it ended by itself with code 3, with the augmentation rain of /birds/rain.js in it",
    );
    await expect(failed).rejects.toThrow(CustomCodeError);
  });

  it("fails with the error that a thread did not catch", async () => {
    const threads = pool(1, `setTimeout(() => { throw new Error("lost"); });`);
    await expect(threads.run(() => "x", "prepare x.jpg")).rejects.toThrow(/to prepare x\.jpg but lost/);
  });

  it("does not blame the image when a thread runs out of memory", async () => {
    const threads = pool(1, "const all = []; for (;;) all.push(new Array(1e5).fill(job));", {
      resourceLimits: { maxOldGenerationSizeMb: 16 },
    });
    const error = await threads.run(() => "x", "prepare x.jpg").catch((failed: unknown) => failed);
    expect(error).toBeInstanceOf(MemoryError);
    expect((error as Error).message).toMatch(/^Expected enough memory to prepare x\.jpg, but it ran out/);
  });

  it("fails what is not done when it is closed", async () => {
    const threads = pool(1, "await new Promise(() => {});");
    const jobs = [threads.run(() => "a", "a"), threads.run(() => "b", "b")];
    const failed = Promise.all(jobs.map((job) => expect(job).rejects.toThrow(/were closed/)));
    await threads.close();
    await failed;
  });
});

describe("the end of a pool", () => {
  it("is waited for by the process, also where an answer comes late", () => {
    const script = join(root, "late.mjs");
    writeFileSync(
      script,
      `import { parentPort } from "node:worker_threads"; parentPort.on("message", () => parentPort.postMessage({ result: 1 }));`,
    );
    const module = new URL("../../../dist/data/loader/worker-pool.js", import.meta.url).href;
    const code = `
      import { WorkerPool } from ${JSON.stringify(module)};
      const pool = new WorkerPool(${JSON.stringify(script)}, 1, {});
      await pool.run(() => 1, "begin");
      pool.run(() => 1, "answer late").catch(() => {});
      // The answer waits in the queue of this thread.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
      await pool.close();
      console.log("closed");`;
    const { status, stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", code], {
      encoding: "utf8",
    });
    expect([status, stdout]).toEqual([0, "closed\n"]);
  });
});

describe("budget of memory", () => {
  it("is never exceeded by threads that share it, and lets the largest request through alone", async () => {
    const budget = createBudget(1 << 20);
    const used = new SharedArrayBuffer(8);
    const code = `const { workerData } = require("node:worker_threads");
      import(workerData.module).then(({ takeBudget }) => {
        const used = new Int32Array(workerData.used);
        for (let i = 0; i < 40; i++) {
          const bytes = i % 10 === 0 ? 5 << 20 : 400 << 10;
          const giveBack = takeBudget(workerData.budget, bytes);
          const now = Atomics.add(used, 0, Math.min(bytes, 1 << 20)) + Math.min(bytes, 1 << 20);
          if (now > Atomics.load(used, 1)) Atomics.store(used, 1, now);
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
          Atomics.sub(used, 0, Math.min(bytes, 1 << 20));
          giveBack();
        }
      });`;
    const module = workerPath(import.meta.url, "memory-budget.js");
    const threads = Array.from(
      { length: 4 },
      () => new Worker(code, { eval: true, workerData: { module, budget, used } }),
    );
    await Promise.all(threads.map((thread) => new Promise((done) => thread.on("exit", done))));
    const [left, most] = new Int32Array(used);
    expect([left, most <= 1 << 20, most >= 800 << 10]).toEqual([0, true, true]);
    // All of it was given back.
    takeBudget(budget, 1 << 20)();
  });
});
