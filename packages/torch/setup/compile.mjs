// Runs the C++ compiler: many files side by side, with one precompiled header for those that include libtorch.
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
import { oldestMacos, platformHere } from "./machine.mjs";
import { SetupError, say } from "./report.mjs";

/** A compiler is a program and its first arguments. @typedef {string[]} Command */

const zigForMacos = ["c++", "-target", `aarch64-macos.${oldestMacos}.0`];
/** Compilers for other platforms, best first: Debian's, and Zig, which PyPI has as `ziglang`. */
const crossCompilers = {
  "linux-arm64": [["aarch64-linux-gnu-g++"]],
  "linux-x64": [["x86_64-linux-gnu-g++"]],
  "darwin-arm64": [
    ["zig", ...zigForMacos],
    ["python3", "-m", "ziglang", ...zigForMacos],
  ],
};

/** The commands that would do for a platform, the best first. @returns {Command[]} */
export function compilersFor(platform = platformHere) {
  if (platform !== platformHere) return crossCompilers[platform] ?? [];
  return [process.env.CXX, "g++", "clang++", "c++"].flatMap((name) => (name ? [[name]] : []));
}

/**
 * Whether a compiler takes a flag, and a text if one is given. It only reads it: Zig leaves a file where it is asked
 * for its version. @param {Command} compiler @param {string} flag
 */
export const accepts = ([program, ...args], flag, input = "") =>
  spawnSync(program, [...args, flag, "-x", "c++", "-E", "-"], { input, stdio: ["pipe", "ignore", "ignore"] }).status ===
  0;

/** The first of them that knows C++20. @returns {Command | null} */
export const findCompiler = (platform = platformHere) =>
  compilersFor(platform).find((compiler) => accepts(compiler, "-std=c++20")) ?? null;

/**
 * Flags that a file asks for itself in its first line, `// compile: …`: its code is only run on CPUs that have them.
 * @param {string} text of the file
 */
export const ownFlags = (text) =>
  /^\/\/ compile: (.*)$/m.exec(text.slice(0, text.indexOf("\n") + 1))?.[1].split(/\s+/) ?? [];

/** GCC takes a precompiled header whose flags do not fit for a plain one; Clang ends with an error. */
const isGcc = (/** @type {Command} */ compiler) =>
  accepts(compiler, "-std=c++20", "#ifdef __clang__\n#error\n#endif\n");

/**
 * A file and all headers of this project that it includes, directly or not.
 * @param {string} file @param {string[]} folders where headers are looked for, after the folder of the file itself
 * @param {Set<string>} [seen]
 */
export function withHeaders(file, folders, seen = new Set()) {
  seen.add(file);
  for (const [, name] of readFileSync(file, "utf8").matchAll(/^\s*#\s*include\s*"(.+)"/gm)) {
    const header = [dirname(file), ...folders].map((folder) => join(folder, name)).find((path) => existsSync(path));
    if (header !== undefined && !seen.has(header)) withHeaders(header, folders, seen);
  }
  return seen;
}

/** Whether a file or a header of it includes libtorch. @param {Iterable<string>} files */
export const usesLibtorch = (files) =>
  [...files].some((file) => /^\s*#\s*include\s*<(ATen|torch|c10)\//m.test(readFileSync(file, "utf8")));

/** Files from which on parsing the headers of libtorch once, for all, is faster. */
const worthPrecompiling = 4;

/**
 * @typedef {{source: string, flags: string[], object: string, usesLibtorch: boolean}} Job
 * @param {Job[]} todo
 * @param {Command} compiler
 * @param {string[]} common the flags of all jobs
 * @param {string} cwd where the compiler runs
 * @param {string} header the one to precompile
 */
export async function compile(todo, compiler, common, cwd, header) {
  const slow = todo.filter((job) => job.usesLibtorch);
  const precompiles = slow.length >= worthPrecompiling && isGcc(compiler);
  const folder = precompiles ? mkdtempSync(join(dirname(todo[0].object), "precompiled-")) : "";
  const copy = join(folder, "precompiled.h");
  const precompiled = precompiles ? precompile(compiler, common, header, copy) : Promise.resolve(false);
  // Meanwhile the others: one core is taken.
  const queue = [...todo.filter((job) => !job.usesLibtorch), ...slow];
  let done = 0;
  const worker = async (/** @type {number} */ index) => {
    if (index === 0) await precompiled;
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      const include = job.usesLibtorch && (await precompiled) ? ["-include", copy] : [];
      const temporary = `${job.object}.${process.pid}.tmp.o`;
      const flags = [...include, ...common, ...job.flags];
      await run(compiler, [...flags, "-c", relative(cwd, job.source), "-o", temporary], job.source, cwd);
      renameSync(temporary, job.object);
      done++;
      if (done % 5 === 0 && done < todo.length) say(`  compiled ${done} of ${todo.length}`);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), 4) }, (_, index) => worker(index)));
  } finally {
    if (precompiles) rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether the header could be precompiled: half a gigabyte, which a full disk refuses. */
async function precompile(compiler, common, header, copy) {
  try {
    copyFileSync(header, copy);
    await run(compiler, [...common, "-x", "c++-header", copy, "-o", `${copy}.gch`], header);
    return true;
  } catch {
    rmSync(`${copy}.gch`, { force: true });
    return false;
  }
}

/**
 * Runs a compiler. @param {Command} compiler @param {string[]} args @param {string} what it makes @param {string} [cwd]
 * @returns {Promise<void>}
 */
export function run([program, ...first], args, what, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...first, ...args], { cwd, stdio: ["ignore", "ignore", "pipe"] });
    /** @type {string[]} */
    const errors = [];
    child.stderr.on("data", (chunk) => errors.push(String(chunk)));
    child.on("error", reject).on("close", (code) => {
      if (code === 0) resolve();
      else
        reject(
          new SetupError(`${program} could not build ${what}`, {
            tried: errors
              .join("")
              .split("\n")
              .filter((line) => /error|undefined|cannot find/i.test(line))
              .slice(0, 6),
            remedies: [
              "a compiler with C++20 is needed: g++ 11, clang 14 or newer; name one in CXX",
              "a libtorch of version 2.11 to 2.15 is known to work; see LIBTORCH in the README",
            ],
          }),
        );
    });
  });
}
