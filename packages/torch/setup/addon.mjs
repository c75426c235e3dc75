// Compiles the addon against libtorch. Objects are kept in the cache by the hash of what went into them, so that
// another checkout of the same sources, or a change of engine and back, compiles nothing again.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
import { cacheFolder } from "./engine.mjs";
import { SetupError, say } from "./report.mjs";

/** @returns {string | null} */
export function findCompiler() {
  return (
    [process.env.CXX, "g++", "clang++", "c++"]
      .filter((name) => name !== undefined)
      .find((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0) ?? null
  );
}

/** Folder of node_api.h: Node's own, or the npm package's. @param {string} root */
export function nodeHeaders(root) {
  const own = join(dirname(process.execPath), "..", "include", "node");
  if (existsSync(join(own, "node_api.h"))) return own;
  try {
    return join(
      dirname(createRequire(join(root, "packages/torch/package.json")).resolve("node-api-headers/package.json")),
      "include",
    );
  } catch {
    return null;
  }
}

function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(join(folder, entry.name)) : [join(folder, entry.name)]))
    .sort();
}

/** Sources of the addon; headers are those that any of them may include. @param {string} root */
export function addonSources(root) {
  const all = filesBelow(join(root, "packages/torch/native"));
  return { sources: all.filter((f) => f.endsWith(".cc")), headers: all.filter((f) => f.endsWith(".h")) };
}

/**
 * Flags that a file asks for itself in its first line, `// compile: …`: its code is only run on CPUs that have them.
 */
function ownFlags(text) {
  return /^\/\/ compile: (.*)$/m.exec(text.slice(0, text.indexOf("\n") + 1))?.[1].split(/\s+/) ?? [];
}

const accepts = (compiler, flag) =>
  spawnSync(compiler, [flag, "-x", "c++", "-E", "-"], { input: "", stdio: ["pipe", "ignore", "ignore"] }).status === 0;

/** @param {string} root @param {import("./engine.mjs").Engine} engine */
export async function buildAddon(root, engine) {
  const compiler = findCompiler();
  if (compiler === null)
    throw new SetupError("The addon must be compiled, and no C++ compiler was found", {
      tried: ["CXX, g++, clang++, c++: none runs"],
      remedies: [
        "install one (Debian: apt-get install g++; macOS: xcode-select --install)",
        "name one in the variable CXX",
      ],
    });
  const headers = nodeHeaders(root);
  if (headers === null)
    throw new SetupError("The headers of Node-API were not found", {
      tried: [`${process.execPath}/../../include/node`, "the npm package node-api-headers"],
      remedies: ["run npm install", "use a Node.js that was installed with its headers"],
    });
  const build = join(root, "packages/torch/build");
  const objects = join(cacheFolder(), "objects");
  for (const folder of [build, objects]) mkdirSync(folder, { recursive: true });
  const common = [
    "-std=c++20",
    "-O2",
    "-fPIC",
    "-fvisibility=hidden",
    "-DNAPI_VERSION=9",
    ...(accepts(compiler, "-fopenmp") ? ["-fopenmp"] : []),
    ...[`${engine.root}/include`, `${engine.root}/include/torch/csrc/api/include`, headers].map((path) => `-I${path}`),
    // Relative to the checkout, where the compiler runs: its place is no part of an object.
    "-Ipackages/torch/native",
  ];
  const { sources, headers: own } = addonSources(root);
  const base = createHash("sha256").update(JSON.stringify([compiler, common, engine.version]));
  for (const header of own) base.update(readFileSync(header));
  const prefix = base.digest("hex");

  const jobs = sources.map((source) => {
    const text = readFileSync(source, "utf8");
    const flags = ownFlags(text).filter((flag) => accepts(compiler, flag));
    const hash = createHash("sha256").update(prefix).update(text).update(flags.join(" ")).digest("hex").slice(0, 24);
    return { source, flags, object: join(objects, `${hash}.o`) };
  });
  const todo = jobs.filter((job) => !existsSync(job.object));
  if (todo.length > 0) say(`  compiling ${todo.length} files with ${compiler}`);
  await compile(todo, [compiler, ...common], root);

  const lib = join(engine.root, "lib");
  const gomp = readdirSync(lib).find((name) => /^libgomp[^/]*\.so/.test(name));
  const link = [
    "-shared",
    ...jobs.map((job) => job.object),
    `-L${lib}`,
    `-Wl,-rpath,${lib}`,
    ...(process.platform === "darwin" ? ["-undefined", "dynamic_lookup"] : ["-Wl,--no-as-needed"]),
    "-ltorch_cpu",
    "-lc10",
    ...(engine.cuda ? ["-ltorch", "-ltorch_cuda", "-lc10_cuda"] : []),
    ...(gomp === undefined ? [] : [join(lib, gomp)]),
  ];
  const temporary = join(build, `torch.${process.pid}.tmp.node`);
  await run(compiler, [...link, "-o", temporary], "the addon");
  writeFileSync(join(build, "engine.json"), `${JSON.stringify(engine, null, 2)}\n`);
  renameSync(temporary, join(build, "torch.node"));
  const now = new Date();
  for (const { object } of jobs) utimesSync(object, now, now);
  forget(objects, now);
}

/**
 * Compiles the jobs side by side.
 * @param {{source: string, flags: string[], object: string}[]} todo
 * @param {string[]} command the compiler and the flags of all jobs
 * @param {string} root where the compiler runs
 */
async function compile(todo, [compiler, ...common], root) {
  const queue = [...todo];
  let done = 0;
  const worker = async () => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      const temporary = `${job.object}.${process.pid}.tmp.o`;
      await run(
        compiler,
        [...common, ...job.flags, "-c", relative(root, job.source), "-o", temporary],
        job.source,
        root,
      );
      renameSync(temporary, job.object);
      done++;
      if (done % 5 === 0 && done < todo.length) say(`  compiled ${done} of ${todo.length}`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), 4) }, worker));
}

/** Days that an object is kept after its last use. */
const keptDays = 30;

/** @param {string} objects @param {Date} now */
function forget(objects, now) {
  // Only what compile() wrote, should another program have put something there.
  for (const name of readdirSync(objects).filter((file) => /^[0-9a-f]{24}\.o(\.\d+\.tmp\.o)?$/.test(file))) {
    const path = join(objects, name);
    const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: now.getTime() };
    if (now.getTime() - mtimeMs > keptDays * 24 * 3600 * 1000) rmSync(path, { force: true });
  }
}

/** @returns {Promise<void>} */
function run(command, args, what, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ["ignore", "ignore", "pipe"] });
    const errors = [];
    child.stderr.on("data", (chunk) => errors.push(String(chunk)));
    child.on("error", reject).on("close", (code) => {
      if (code === 0) resolve();
      else
        reject(
          new SetupError(`${command} could not build ${what}`, {
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
