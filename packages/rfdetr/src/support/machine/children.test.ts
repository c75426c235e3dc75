import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { mayRun } from "./process-identity.js";

const built = (path: string) =>
  JSON.stringify(pathToFileURL(fileURLToPath(new URL(`../../../dist/${path}`, import.meta.url))).href);

const bench = `{ model: "tiny", precision: "32-true", device: "cpu", batch: 1, iterations: 1e6, warmup: 1 }`;

/** Ids of the processes that a process has started; the shell that waits for its end is one. */
const childrenOf = (pid: number) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").map(Number).filter(Boolean);

describe.runIf(process.platform === "linux")("a process that computes and hears nothing", () => {
  it.each([
    [
      "a measurement",
      `import { inOwnProcess } from ${built("instruments/bench/own-process.js")};
      inOwnProcess("infer", ${bench});`,
    ],
    [
      "the one beside a measurement",
      `import { besideBusyProcess } from ${built("instruments/peers/programs.js")};
      besideBusyProcess(() => new Promise((end) => setTimeout(end, 1e9)));`,
    ],
    [
      "another program",
      `import { output } from ${built("support/machine/children.js")};
      output(process.execPath, ["-e", "for (;;);"]);`,
    ],
  ])("ends when the one that started it is killed: %s", async (_, script) => {
    const parent = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "ignore" });
    const pid = parent.pid as number;
    while (childrenOf(pid).length < 2) await setTimeout(5);
    const children = childrenOf(pid);
    parent.kill("SIGKILL");
    await once(parent, "exit");
    const running = () => children.filter((child) => mayRun({ pid: child, host: hostname(), process: null }));
    while (running().length > 0) await setTimeout(5);
    expect(children).toHaveLength(2);
  });
});
