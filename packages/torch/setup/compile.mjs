// Runs the C++ compiler: many units side by side.
import { spawn, spawnSync } from "node:child_process";
import { renameSync } from "node:fs";
import { availableParallelism } from "node:os";
import { relative } from "node:path";
import { oldestMacos, platformHere } from "./machine.mjs";
import { progress } from "./progress.mjs";
import { SetupError } from "./report.mjs";
import { untilDone } from "./stopping.mjs";

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
 * `common`: flags beside those that the files ask for.
 * @typedef {import("./sources.mjs").Unit & {common: string[], object: string}} Job
 * @param {Job[]} todo
 * @param {Command} compiler
 * @param {string} cwd where the compiler runs
 * @param {string} [what] they are, in words
 */
export async function compile(todo, compiler, cwd, what = "C++ files") {
  const count = todo.flatMap((job) => job.sources).length;
  if (count === 0) return;
  await progress.during(`compiling ${count} ${what}`, (task) =>
    compileAll(todo, compiler, cwd, (done) => task.update(`(${done} done)`)),
  );
}

/** @param {Job[]} todo @param {(files: number) => void} tell how many are done */
async function compileAll(todo, compiler, cwd, tell) {
  const queue = [...todo];
  let done = 0;
  tell(done);
  const worker = async () => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      await compileOne(job, compiler, cwd);
      done += job.sources.length;
      tell(done);
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), 4) }, worker));
}

/** Each file of a unit is included before the last one. @param {Job} job */
async function compileOne({ sources, common, flags, object }, compiler, cwd) {
  const paths = sources.map((source) => relative(cwd, source));
  const included = paths.slice(0, -1).flatMap((path) => ["-include", path]);
  const temporary = `${object}.${process.pid}.tmp.o`;
  const last = ["-c", ...paths.slice(-1), "-o", temporary];
  await run(compiler, [...common, ...flags, ...included, ...last], paths, cwd);
  renameSync(temporary, object);
}

/** The one of some files that the first error is in, or is included from; all of them if that is unknown. */
function nameOfFault(/** @type {string[]} */ files, /** @type {string} */ output) {
  const before = output.slice(0, output.indexOf("error:") + 1);
  const at = (/** @type {string} */ file) => before.lastIndexOf(`${file}:`);
  const [found] = files.toSorted((a, b) => at(b) - at(a));
  return at(found) < 0 ? files.join(", ") : found;
}

/**
 * Runs a compiler.
 * @param {Command} compiler @param {string[]} args @param {string[]} what it makes something of @param {string} [cwd]
 * @returns {Promise<void>}
 */
export function run([program, ...first], args, what, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...first, ...args], { cwd, stdio: ["ignore", "ignore", "pipe"] });
    /** @type {string[]} */
    const errors = [];
    child.stderr.on("data", (chunk) => errors.push(String(chunk)));
    const isDone = untilDone(() => child.kill());
    child.on("error", reject).on("close", (code) => {
      isDone();
      if (code === 0) resolve();
      else
        reject(
          new SetupError(`${program} could not build ${nameOfFault(what, errors.join(""))}`, {
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
