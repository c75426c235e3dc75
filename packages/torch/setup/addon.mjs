// Links the addon against libtorch. Objects are kept in the cache by the hash of what went into them, so that another
// checkout of the same sources, or a change of engine and back, compiles nothing again.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { accepts, compile, compilersFor, findCompiler, ownFlags, run, usesLibtorch, withHeaders } from "./compile.mjs";
import { cudaHeaders } from "./engine.mjs";
import { cacheFolder, platformHere } from "./machine.mjs";
import { SetupError, say } from "./report.mjs";

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

/** @param {string} folder @returns {string[]} */
export function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(join(folder, entry.name)) : [join(folder, entry.name)]))
    .sort();
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
 * Compiles the files that have changed, and links all.
 * @param {import("./engine.mjs").Engine} engine
 * @param {string} file the addon to write
 * @param {{fault?: string | null, isPrebuilt?: boolean, platform?: string}} options `isPrebuilt`: finds libtorch in the
 * folder `engine` beside itself, wherever it is put; `platform` that it is made for
 */
export async function compileAddon(engine, file, options = {}) {
  const { fault = null, isPrebuilt = false, platform = platformHere } = options;
  const compiler = compilerOrError(fault, platform);
  const headers = nodeHeaders();
  if (headers === null)
    throw new SetupError("The headers of Node-API were not found", {
      tried: [`${process.execPath}/../../include/node`, "the npm package node-api-headers"],
      remedies: ["run npm install", "use a Node.js that was installed with its headers"],
    });
  const objects = join(cacheFolder(), "objects");
  mkdirSync(objects, { recursive: true });
  const isMacos = platform.startsWith("darwin");
  const isForeignMacos = isMacos && platform !== platformHere;
  const common = [
    "-std=c++20",
    "-O2",
    "-fPIC",
    "-fvisibility=hidden",
    `-DNAPI_VERSION=${nodeApi}`,
    // On macOS torch has LLVM's OpenMP, for which compilers there have no header. The addon's threads are its own.
    ...(!isMacos && accepts(compiler, "-fopenmp") ? ["-fopenmp"] : []),
    ...(isForeignMacos ? likeApple : []),
    ...[`${engine.root}/include`, `${engine.root}/include/torch/csrc/api/include`, headers, ...cudaHeaders(engine)].map(
      (path) => `-I${path}`,
    ),
    // Relative to the package, where the compiler runs: its place is no part of an object.
    "-Inative",
  ];
  const jobOf = (/** @type {string} */ source) => {
    const flags = ownFlags(readFileSync(source, "utf8")).filter((flag) => accepts(compiler, flag));
    const files = withHeaders(source, [native]);
    const hash = createHash("sha256").update(JSON.stringify([compiler.join(" "), common, engine.version, flags]));
    for (const each of files) hash.update(`${relative(native, each)}\n`).update(readFileSync(each));
    const object = join(objects, `${hash.digest("hex").slice(0, 24)}.o`);
    return { source, flags, object, usesLibtorch: usesLibtorch(files) };
  };
  const older = isPrebuilt && platform.startsWith("linux");
  const jobs = [...addonSources(), ...(older ? [olderSymbols] : [])].map(jobOf);
  const todo = jobs.filter((job) => !existsSync(job.object));
  if (todo.length > 0) say(`  compiling ${todo.length} files with ${compiler.join(" ")}`);
  await compile(todo, compiler, common, torch, join(native, "precompiled.h"));
  // The name of an object is the hash of what was there before it was compiled.
  const changed = todo.filter((job) => jobOf(job.source).object !== job.object);
  for (const { object } of changed) rmSync(object, { force: true });
  if (changed.length > 0)
    throw new SetupError(`${relative(native, changed[0].source)} was changed while it was compiled`, {
      tried: [],
      remedies: ["run it again when nobody edits the C++ files"],
    });

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
    ...(isForeignMacos ? ["-nostdlib++"] : []),
    "-ltorch_cpu",
    "-lc10",
    ...(engine.cuda ? ["-ltorch", "-ltorch_cuda", "-lc10_cuda"] : []),
    ...(gomp === undefined ? [] : [join(lib, gomp)]),
  ];
  await run(compiler, [...link, "-o", file], "the addon");
  const now = new Date();
  for (const { object } of jobs) utimesSync(object, now, now);
  forget(objects, now);
}

const hour = 3600 * 1000;
/** What compile() writes, and for how long it is kept after its last use. Another program may have files there. */
const leftovers = [
  { name: /^[0-9a-f]{24}\.o$/, kept: 30 * 24 * hour },
  // What a set-up leaves if it is killed: half a gigabyte, and a part of an object.
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
