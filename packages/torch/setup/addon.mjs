// Links the addon against libtorch. Objects are kept in the cache by the hash of what went into them, so that another
// checkout of the same sources, or a change of engine and back, compiles nothing again.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { accepts, compile, compilersFor, findCompiler, run } from "./compile.mjs";
import { cudaHeaders } from "./engine.mjs";
import { cacheFolder, platformHere } from "./machine.mjs";
import { progress } from "./progress.mjs";
import { SetupError } from "./report.mjs";
import { filesBelow, hashesOf, unitsOf } from "./sources.mjs";

/** The package that the addon belongs to, in a checkout or installed. */
export const torch = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const native = join(torch, "native");

/** Level of Node-API that the addon needs. */
export const nodeApi = 9;

/** Folder of node_api.h: Node's own, or the npm package's. */
export function nodeHeaders() {
  const own = join(dirname(process.execPath), "..", "include", "node");
  if (existsSync(join(own, "node_api.h"))) return own;
  try {
    return join(dirname(createRequire(import.meta.url).resolve("node-api-headers/package.json")), "include");
  } catch {
    return null;
  }
}

/** What an addon is linked with that is built for others, and the symbols that it stands for. */
const olderSymbols = join(torch, "setup", "older_symbols.cc");
const wrapped = [...readFileSync(olderSymbols, "utf8").matchAll(/\b__wrap_(\w+)\(/g)].map(([, symbol]) => symbol);

/** Makes Zig's headers of C++ take nothing that the C++ library of the oldest macOS lacks. */
const likeApple = [
  "-U_LIBCPP_HAS_VENDOR_AVAILABILITY_ANNOTATIONS",
  "-D_LIBCPP_HAS_VENDOR_AVAILABILITY_ANNOTATIONS=1",
  "-U_LIBCPP_DISABLE_VISIBILITY_ANNOTATIONS",
];

/** Sources of the addon. */
export const addonSources = () => filesBelow(native).filter((f) => f.endsWith(".cc"));

/**
 * @param {string | null} fault why the prebuilt addon does not serve; null or "" if there is none to speak of
 * @param {string} [platform] that it is made for
 */
export function compilerOrError(fault, platform = platformHere) {
  const compiler = findCompiler(platform);
  if (compiler !== null) return compiler;
  if (platform !== platformHere)
    throw new SetupError(`No C++ compiler for ${platform} was found`, {
      tried: compilersFor(platform).map((command) => `${command.join(" ")}: does not run`),
      remedies: [
        "install one (g++-aarch64-linux-gnu of Debian, ziglang of PyPI)",
        `make it on a machine of ${platform}`,
      ],
    });
  throw new SetupError("The addon must be compiled, and no C++ compiler was found", {
    tried: ["CXX, g++, clang++, c++: none runs and knows C++20", ...(fault ? [`the prebuilt addon: ${fault}`] : [])],
    remedies: [
      "install one (Debian: apt-get install g++; macOS: xcode-select --install)",
      "name one in the variable CXX",
    ],
  });
}

/**
 * Flags of all files. @param {import("./compile.mjs").Command} compiler @param {string} platform
 * @internal for tests
 */
export const commonFlags = (compiler, platform = platformHere) => [
  "-std=c++20",
  "-O2",
  "-fPIC",
  "-fvisibility=hidden",
  // As libtorch's own binaries are: some of its classes have other members, and more checks, without it.
  "-DNDEBUG",
  // Nobody looks at errno after a square root.
  "-fno-math-errno",
  // On macOS torch has LLVM's OpenMP, for which compilers there have no header. The addon's threads are its own.
  ...(!platform.startsWith("darwin") && accepts(compiler, "-fopenmp") ? ["-fopenmp"] : []),
  ...(isForeignMacos(platform) ? likeApple : []),
  // Relative to the package, where the compiler runs: its place is no part of an object.
  "-Inative",
];

const isForeignMacos = (/** @type {string} */ platform) => platform.startsWith("darwin") && platform !== platformHere;

/** @param {import("./engine.mjs").Engine} engine */
function engineFlags(engine) {
  const headers = nodeHeaders();
  if (headers === null)
    throw new SetupError("The headers of Node-API were not found", {
      tried: [`${process.execPath}/../../include/node`, "the npm package node-api-headers"],
      remedies: ["run npm install", "use a Node.js that was installed with its headers"],
    });
  const { root } = engine;
  const folders = [`${root}/include`, `${root}/include/torch/csrc/api/include`, headers, ...cudaHeaders(engine)];
  return [`-DNAPI_VERSION=${nodeApi}`, ...folders.map((path) => `-I${path}`), "-Inative/gloo_stub"];
}

/**
 * What there is to compile: all for an engine, or what includes nothing of it.
 * @param {string[]} sources @param {import("./compile.mjs").Command} compiler @param {string} platform
 * @param {import("./engine.mjs").Engine | null} engine
 * @internal for tests
 */
export function jobsOf(sources, compiler, platform, engine) {
  const objects = join(cacheFolder(), "objects");
  mkdirSync(objects, { recursive: true });
  const plain = commonFlags(compiler, platform);
  const withEngine = engine === null ? [] : [...plain, ...engineFlags(engine)];
  /** @type {Map<string, boolean>} asking takes a run of the compiler */
  const accepted = new Map();
  const isAccepted = (/** @type {string} */ flag) => {
    if (!accepted.has(flag)) accepted.set(flag, accepts(compiler, flag));
    return accepted.get(flag);
  };
  return unitsOf(sources, native)
    .filter((unit) => engine !== null || !unit.usesLibtorch)
    .map((unit) => {
      const common = unit.usesLibtorch ? withEngine : plain;
      const flags = unit.flags.filter(isAccepted);
      const hashes = hashesOf(unit, native);
      const version = unit.usesLibtorch ? engine?.version : "";
      const parts = [...hashes].map(([file, hash]) => `${relative(native, file)} ${hash}`);
      const text = JSON.stringify([compiler.join(" "), common, version, flags, parts]);
      const name = createHash("sha256").update(text).digest("hex").slice(0, 24);
      return { ...unit, common, flags, hashes, object: join(objects, `${name}.o`) };
    });
}

/**
 * Compiles what has no object yet. @param {ReturnType<typeof jobsOf>} jobs
 * @internal for tests
 */
export async function compileMissing(jobs, compiler, what = "C++ files") {
  const todo = jobs.filter((job) => !existsSync(job.object));
  await compile(todo, compiler, torch, what);
  // The name of an object is the hash of what was there before it was compiled.
  const changedOf = (/** @type {ReturnType<typeof jobsOf>[number]} */ job) => {
    const now = hashesOf(job, native);
    return [...job.hashes.keys(), ...now.keys()].find((file) => now.get(file) !== job.hashes.get(file));
  };
  const changed = todo.filter((job) => changedOf(job) !== undefined);
  for (const { object } of changed) rmSync(object, { force: true });
  if (changed.length > 0)
    throw new SetupError(`${relative(native, changedOf(changed[0]) ?? "")} was changed while it was compiled`, {
      tried: [],
      remedies: ["run it again when nobody edits the C++ files"],
    });
}

/** Compiles the files that need no libtorch, while that is fetched. */
export async function compileEarly() {
  const compiler = compilerOrError(null);
  const jobs = jobsOf(addonSources(), compiler, platformHere, null);
  await compileMissing(jobs, compiler, "C++ files that need no libtorch");
}

/**
 * Compiles the files that have changed, and links all.
 * @param {import("./engine.mjs").Engine} engine
 * @param {string} file the addon to write
 * @param {{fault?: string | null, isPrebuilt?: boolean, platform?: string}} options `isPrebuilt`: finds libtorch in the
 * folder `engine` beside itself, wherever it is put; `platform` that it is made for
 */
export async function compileAddon(engine, file, options = {}) {
  const { fault = null, isPrebuilt = false, platform = platformHere } = options;
  const compiler = compilerOrError(fault, platform);
  const isMacos = platform.startsWith("darwin");
  const older = isPrebuilt && platform.startsWith("linux");
  const jobs = jobsOf([...addonSources(), ...(older ? [olderSymbols] : [])], compiler, platform, engine);
  await compileMissing(jobs, compiler);

  const lib = join(engine.root, "lib");
  // Its name differs among the wheels of a version: a prebuilt addon takes the one that libtorch_cpu loads.
  const gomp = isPrebuilt ? undefined : readdirSync(lib).find((name) => /^libgomp[^/]*\.so/.test(name));
  const here = isMacos ? "@loader_path" : "$ORIGIN";
  const link = [
    "-shared",
    ...(isPrebuilt ? ["-s"] : []),
    ...(older ? wrapped.map((symbol) => `-Wl,--wrap=${symbol}`) : []),
    ...jobs.map((job) => job.object),
    `-L${lib}`,
    `-Wl,-rpath,${isPrebuilt ? `${here}/engine/lib` : lib}`,
    // Node has the symbols of Node-API. Those of C++ are in the system's library, which libtorch loads.
    ...(isMacos ? ["-undefined", "dynamic_lookup"] : ["-Wl,--no-as-needed"]),
    ...(isForeignMacos(platform) ? ["-nostdlib++"] : []),
    "-ltorch_cpu",
    "-lc10",
    ...(engine.cuda ? ["-ltorch", "-ltorch_cuda", "-lc10_cuda"] : []),
    ...(gomp === undefined ? [] : [join(lib, gomp)]),
  ];
  await progress.during("linking the addon", () => run(compiler, [...link, "-o", file], ["the addon"]));
  const now = new Date();
  for (const { object } of jobs) utimesSync(object, now, now);
  forget(dirname(jobs[0].object), now);
}

const hour = 3600 * 1000;
/** What compile() writes, and for how long it is kept after its last use. Another program may have files there. */
const leftovers = [
  { name: /^[0-9a-f]{24}\.o$/, kept: 30 * 24 * hour },
  // What a set-up leaves if it is killed: a part of an object, and half a gigabyte of older versions of this program.
  { name: /^(precompiled-\w{6}|[0-9a-f]{24}\.o\.\d+\.tmp\.o)$/, kept: 2 * hour },
];

/** @param {string} objects @param {Date} now */
function forget(objects, now) {
  for (const file of readdirSync(objects)) {
    const path = join(objects, file);
    const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: now.getTime() };
    const old = ({ name, kept }) => name.test(file) && now.getTime() - mtimeMs > kept;
    if (leftovers.some(old)) rmSync(path, { recursive: true, force: true });
  }
}
