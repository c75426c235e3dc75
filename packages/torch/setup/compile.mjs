// Runs the C++ compiler: many units side by side, with one precompiled header for those that include it.
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
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
 * GCC takes a precompiled header whose flags do not fit for a plain one; Clang ends with an error.
 * @internal for tests
 */
export const isGcc = (/** @type {Command} */ compiler) =>
  accepts(compiler, "-std=c++20", "#ifdef __clang__\n#error\n#endif\n");

/** Units from which on parsing the headers of libtorch once, for all, is faster. */
const worthPrecompiling = 4;

/**
 * `common`: flags beside those that the files ask for.
 * @typedef {import("./sources.mjs").Unit & {common: string[], object: string}} Job
 * @param {Job[]} todo
 * @param {Command} compiler
 * @param {string} cwd where the compiler runs
 * @param {string} header the one to precompile
 * @param {string} [what] they are, in words
 */
export async function compile(todo, compiler, cwd, header, what = "C++ files") {
  const count = todo.flatMap((job) => job.sources).length;
  if (count === 0) return;
  await progress.during(`compiling ${count} ${what}`, (task) =>
    compileAll(todo, compiler, cwd, header, (done) => task.update(`(${done} done)`)),
  );
}

/** @param {Job[]} todo @param {(files: number) => void} tell how many are done */
async function compileAll(todo, compiler, cwd, header, tell) {
  const slow = todo.filter((job) => job.usesPrecompiled);
  const precompiles = slow.length >= worthPrecompiling && isGcc(compiler);
  const folder = precompiles ? mkdtempSync(join(dirname(todo[0].object), "precompiled-")) : "";
  const copy = join(folder, "precompiled.h");
  // Half a gigabyte.
  // A compiler that is still at the header may make a file while the folder goes.
  const remove = () => precompiles && rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  const isDone = untilDone(remove);
  let isPrecompiled = false;
  // It takes one core. Those that are free meanwhile parse the headers themselves.
  const precompiling =
    precompiles && precompile(compiler, slow[0].common, header, copy).then((is) => (isPrecompiled = is));
  const queue = [...todo.filter((job) => !job.usesPrecompiled), ...slow];
  let done = 0;
  tell(done);
  const worker = async (/** @type {number} */ index) => {
    if (index === 0) await precompiling;
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      await compileOne(job, compiler, cwd, job.usesPrecompiled && isPrecompiled ? ["-include", copy] : []);
      done += job.sources.length;
      tell(done);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), 4) }, (_, index) => worker(index)));
  } finally {
    remove();
    isDone();
  }
}

/** Each file of a unit is included before the last one. @param {Job} job @param {string[]} first flags */
async function compileOne({ sources, common, flags, object }, compiler, cwd, first) {
  const paths = sources.map((source) => relative(cwd, source));
  const included = paths.slice(0, -1).flatMap((path) => ["-include", path]);
  const temporary = `${object}.${process.pid}.tmp.o`;
  const last = ["-c", ...paths.slice(-1), "-o", temporary];
  await run(compiler, [...first, ...common, ...flags, ...included, ...last], paths, cwd);
  renameSync(temporary, object);
}

/** Whether the header could be precompiled: half a gigabyte, which a full disk refuses. */
async function precompile(compiler, common, header, copy) {
  try {
    copyFileSync(header, copy);
    await run(compiler, [...common, "-x", "c++-header", copy, "-o", `${copy}.gch`], [header]);
    return true;
  } catch {
    rmSync(`${copy}.gch`, { force: true });
    return false;
  }
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
