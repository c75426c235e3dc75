import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { Progress } from "./progress.mjs";

/** What is written, and a clock in milliseconds. */
function stage(terminal: { columns: number } | null) {
  const at = { now: 0, text: "" };
  const out = { isTTY: terminal !== null, columns: terminal?.columns, write: (text: string) => (at.text += text) };
  const progress = new Progress(out, () => at.now);
  /** What is seen after so many seconds. */
  const after = (seconds: number): string => {
    for (const until = at.now + 1000 * seconds; at.now < until; ) {
      at.now += 500;
      progress.tick();
    }
    const seen = at.text;
    at.text = "";
    return seen;
  };
  return { progress, after };
}

describe("what goes on in set-up", () => {
  it("is one live line on a terminal: each part with how far it is and how long it has taken", () => {
    const { progress, after } = stage({ columns: 60 });
    const compile = progress.begin("compiling 123 C++ files");
    after(1);
    progress.begin("TypeScript build");
    compile.update("(23 done)");
    expect(after(1).split("\r").at(-1)).toBe("  compiling 123 C++ files (23 done), 2 s · TypeScript build\x1b[K");
    compile.end();
    expect(after(1).split("\r").at(-1)).toBe("  TypeScript build, 2 s\x1b[K");
  });

  it("is below the lines that stay, and gone with the last part", () => {
    const { progress, after } = stage({ columns: 60 });
    const task = progress.begin("npm packages");
    after(1);
    progress.say("libtorch");
    expect(after(0)).toBe("\r\x1b[Klibtorch\n\r  npm packages, 1 s\x1b[K");
    task.end();
    expect(after(1)).toBe("\r\x1b[K");
    progress.say("ready");
    expect(after(1)).toBe("ready\n");
  });

  it("is a line now and then elsewhere, where nothing else was said for a while", () => {
    const { progress, after } = stage(null);
    const task = progress.begin("compiling 123 C++ files");
    task.update("(23 done)");
    expect(after(19)).toBe("");
    expect(after(1)).toBe("  compiling 123 C++ files (23 done), 20 s\n");
    after(15);
    progress.say("libtorch");
    expect(after(19)).toBe("libtorch\n");
    expect(after(1)).toBe("  compiling 123 C++ files (23 done), 55 s\n");
    task.end();
    expect(after(60)).toBe("");
  });

  it("tells at its end how long it took, unless that was short or it failed", async () => {
    const { progress, after } = stage(null);
    await progress.during("a", async () => void after(4));
    expect(after(1)).toBe("");
    await progress.during("b", async () => void after(7));
    expect(after(1)).toBe("  b: done after 7 s\n");
    const broken = progress.during("c", async () => {
      after(7);
      throw new Error("no");
    });
    await expect(broken).rejects.toThrow("no");
    expect(after(60)).toBe("");
  });
});

/** Waits for the end of a process that was told to end. */
async function ends(id: number): Promise<boolean> {
  for (let tries = 0; tries < 500; tries++) {
    try {
      process.kill(id, 0);
      // Nobody may have asked for its exit code.
      if (/\) Z/.test(readFileSync(`/proc/${id}/stat`, "utf8"))) return true;
    } catch {
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return false;
}

describe("a set-up that is stopped", () => {
  const folder = mkdtempSync(join(tmpdir(), "stopped-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("by %s says so, ends what it started, and leaves no lock and no half object", async (signal, code) => {
    const lock = join(folder, "setup.lock");
    const names = ["a", "b", "c", "d"].map((name) => join(folder, `${name}.cc`));
    for (const name of names) writeFileSync(name, "");
    // It says that it has begun, and takes longer than a test may.
    const compiler = join(folder, "compiler");
    writeFileSync(compiler, `#!/bin/sh\necho $$ >> ${join(folder, "begun")}\nexec sleep 300\n`);
    chmodSync(compiler, 0o755);
    const jobs = names.map((source) => ({ sources: [source], flags: [], common: [], object: `${source}.o` }));
    const script = `
      import { compile } from ${JSON.stringify(fileURLToPath(new URL("compile.mjs", import.meta.url)))};
      import { locked } from ${JSON.stringify(fileURLToPath(new URL("lock.mjs", import.meta.url)))};
      import { stoppable } from ${JSON.stringify(fileURLToPath(new URL("stopping.mjs", import.meta.url)))};
      const jobs = ${JSON.stringify(jobs)};
      await stoppable(() => locked(${JSON.stringify(lock)}, () =>
        compile(jobs, [${JSON.stringify(compiler)}], ${JSON.stringify(folder)})));`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
    let said = "";
    child.stderr.on("data", (chunk) => (said += chunk));
    const begun = join(folder, "begun");
    while (!existsSync(begun)) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(existsSync(lock)).toBe(true);
    child.kill(signal);
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(code);
    expect(said).toContain("Set-up was stopped; the same command goes on from here");
    const left = readdirSync(folder).filter((name) => !/\.cc$|^(compiler|begun)$/.test(name));
    expect(left).toEqual([]);
    for (const id of readFileSync(begun, "utf8").trim().split("\n")) expect(await ends(Number(id))).toBe(true);
    rmSync(begun);
  });
});
