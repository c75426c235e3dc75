import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { findCompiler } from "../setup/compile.mjs";

const torch = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "threads-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Compiles sources for ThreadSanitizer. @returns the program */
function compile(name: string, ...sources: string[]): string {
  const [compiler = "g++"] = findCompiler() ?? [];
  const program = join(folder, name);
  const flags = ["-std=c++20", "-O1", "-g", "-fsanitize=thread", "-pthread", "-Inative"];
  execFileSync(compiler, [...flags, ...sources, "-o", program], { cwd: torch, stdio: "pipe" });
  return program;
}

/** Whether its library is installed, and runs on this kernel. */
function sanitizerRuns(): boolean {
  try {
    const source = join(folder, "empty.cc");
    writeFileSync(source, "int main() {}");
    return spawnSync(compile("empty", source)).status === 0;
  } catch {
    return false;
  }
}

describe.runIf(sanitizerRuns())("several threads at once, under ThreadSanitizer", () => {
  it.each([
    ["team", ["native/team.cc"], "every task ran once\n"],
    ["stable-table", [], "4 threads, 4000 names: 0 wrong\n"],
  ])("use the %s without a race", (name, sources, said) => {
    const program = compile(name, `test/threads/${name}.cc`, ...sources);
    const { status, stdout, stderr } = spawnSync(program, name === "team" ? ["5000"] : [], { encoding: "utf8" });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: said, stderr: "" });
  });
});
