import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import type { DdpGolden, DdpStep } from "../../testing/ranks/ddp-rank.js";

const file = fileURLToPath(new URL("./fixtures/ddp.json", import.meta.url));
const golden = JSON.parse(readFileSync(file, "utf8")) as DdpGolden;
const program = fileURLToPath(new URL("../../../dist/testing/ranks/ddp-rank.js", import.meta.url));

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

/** Starts one of the two processes. @returns what it computed */
async function rank(number: number, port: number): Promise<{ steps: DdpStep[]; parameters: string[] }> {
  const child = fork(program, [String(number), String(port), file]);
  const [message] = await Promise.race([
    once(child, "message"),
    once(child, "exit").then(([code]) => Promise.reject(new Error(`Rank ${number} ended with ${code}`))),
  ]);
  return message;
}

const relative = (a: number, b: number): number => Math.abs(a - b) / Math.max(Math.abs(b), 1e-3);

describe("ten steps of two processes of the Python package under DistributedDataParallel", () => {
  let ranks: Awaited<ReturnType<typeof rank>>[];
  beforeAll(async () => {
    const port = await freePort();
    ranks = await Promise.all([rank(0, port), rank(1, port)]);
  }, 120_000);

  it("have their losses to 1e-8, where one process has no boxes and where none has any", () => {
    golden.steps.forEach((there, i) => {
      for (const [r, { steps }] of ranks.entries()) {
        expect(steps[i].size).toBe(there.size);
        expect(relative(steps[i].loss, there.ranks[r].loss), `loss of rank ${r}, step ${i + 1}`).toBeLessThan(1e-8);
        for (const [name, value] of Object.entries(there.ranks[r].terms))
          expect(relative(steps[i].terms[name], value), `${name} of rank ${r}, step ${i + 1}`).toBeLessThan(1e-8);
      }
    });
  });

  it("have the gradient of every parameter to 1e-8, and none where the package has none", () => {
    expect([...ranks[0].parameters].sort()).toEqual([...golden.names].sort());
    golden.steps.forEach((there, i) => {
      const { gradient_norm: norm, gradients } = ranks[0].steps[i];
      expect(relative(norm, there.gradient_norm), `gradient norm of step ${i + 1}`).toBeLessThan(1e-8);
      golden.names.forEach((name, k) => {
        const [mine, theirs] = [gradients[k], there.gradients[k]];
        if (mine === null || theirs === null) return expect(mine, `${name}, step ${i + 1}`).toEqual(theirs);
        // A bias of keys has no gradient but rounding: it is measured against that of the whole model.
        const unit = Math.max(theirs[0], 1e-6 * there.gradient_norm);
        for (const kind of [0, 1])
          expect(Math.abs(mine[kind] - theirs[kind]) / unit, `${name}, step ${i + 1}`).toBeLessThan(1e-8);
      });
    });
  });

  it("are the same bits in both processes", () => {
    expect(ranks[1].steps.map(({ gradients }) => gradients)).toEqual(ranks[0].steps.map(({ gradients }) => gradients));
  });
});
