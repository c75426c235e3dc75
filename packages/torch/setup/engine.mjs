// Where libtorch comes from: LIBTORCH, the active Python's torch, the project's cache, a wheel; the first
// that fits.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fetchEngine, torchVersion } from "./fetch-engine.mjs";
import { cacheFolder } from "./machine.mjs";
import { pythonTorch } from "./python.mjs";
import { SetupError } from "./report.mjs";

/**
 * @typedef {{root: string, version: string, source: "LIBTORCH" | "python" | "cache" | "wheel", cuda: boolean}} Engine
 */

const oldest = [2, 11];

/**
 * The engine in a libtorch folder or a `site-packages/torch` folder.
 * @param {string} folder @param {Engine["source"]} source @returns {Engine | string} the engine, or why it is none
 * @internal for tests
 */
export function inspect(folder, source) {
  const root = [folder, join(folder, "torch"), join(folder, "libtorch")].find((path) =>
    existsSync(join(path, "include", "torch")),
  );
  if (root === undefined) return `${folder} has no include/torch`;
  const library = ["libtorch_cpu.so", "libtorch_cpu.dylib"].find((name) => existsSync(join(root, "lib", name)));
  if (library === undefined) return `${root} has no lib/libtorch_cpu`;
  const version = versionOf(root);
  const [major, minor] = version.split(".").map(Number);
  if (!(major > oldest[0] || (major === oldest[0] && minor >= oldest[1])))
    return `${root} is torch ${version}, older than ${oldest.join(".")}`;
  return { root: resolve(root), version, source, cuda: existsSync(join(root, "lib", "libtorch_cuda.so")) };
}

/** From the headers; they moved between releases. */
function versionOf(root) {
  for (const header of ["torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h"].map((name) =>
    join(root, "include", name),
  )) {
    if (!existsSync(header)) continue;
    const text = readFileSync(header, "utf8");
    const numbers = ["MAJOR", "MINOR", "PATCH"].map(
      (part) => new RegExp(`define TORCH_VERSION_${part} (\\d+)`).exec(text)?.[1],
    );
    if (!numbers.includes(undefined)) return numbers.join(".");
  }
  return "of an unknown version";
}

/** The libtorch that the user names; "" for none. @param {string} [libtorch] that of a flag, which goes first */
export const namedLibtorch = (libtorch) => libtorch ?? process.env.LIBTORCH ?? "";

const homeOf = (/** @type {boolean} */ cuda) =>
  join(cacheFolder(), `libtorch-${torchVersion}-${cuda ? "cuda" : "cpu"}`);

/** Whether a libtorch with CUDA was fetched once: it is then used without being asked for. */
export const hasCudaEngine = () => existsSync(homeOf(true));

/**
 * Finds libtorch, or fetches it.
 * @param {{libtorch?: string, cuda?: boolean, fetch?: boolean}} options `fetch: false` only looks
 * @returns {Promise<Engine>}
 */
export async function resolveEngine({ libtorch, cuda = false, fetch = true } = {}) {
  const tried = [];
  const named = namedLibtorch(libtorch);
  if (named !== "") {
    const found = inspect(named, "LIBTORCH");
    if (typeof found !== "string") return found;
    throw new SetupError(`LIBTORCH names ${named}, which is not a libtorch that can be used`, {
      tried: [found],
      remedies: [
        "point it at a libtorch folder or a site-packages/torch folder of version 2.11 or newer",
        "unset it: libtorch is then looked for elsewhere, or downloaded",
      ],
    });
  }
  tried.push("LIBTORCH: not set");
  const installed = pythonTorch();
  if (installed === null) tried.push("the active Python: no torch installed");
  else {
    const found = inspect(installed, "python");
    if (typeof found !== "string" && (!cuda || found.cuda)) return found;
    tried.push(`the active Python: ${typeof found === "string" ? found : `${installed} has no CUDA`}`);
  }
  const home = homeOf(cuda);
  if (existsSync(home)) {
    const found = inspect(join(home, "torch"), "cache");
    if (typeof found !== "string") return found;
    tried.push(`the cache: ${found}`);
  } else tried.push(`the cache: ${home} does not exist`);
  if (!fetch)
    throw new SetupError("libtorch is not there yet", {
      tried,
      remedies: ["run npm run setup, which downloads it", "set LIBTORCH to a libtorch folder"],
    });
  await fetchEngine(home, cuda, tried);
  const found = inspect(join(home, "torch"), "wheel");
  if (typeof found === "string") throw new Error(`The unpacked wheel is not usable: ${found}`);
  return found;
}

/**
 * Folders of NVIDIA's headers for a libtorch with CUDA: those that lie beside it, as wheels put them there, then those
 * of a CUDA toolkit, because not every wheel of CUDA brings all of them.
 * @param {Engine} engine
 */
export function cudaHeaders({ root, cuda }) {
  if (!cuda) return [];
  const folder = join(root, "..", "nvidia");
  const wheels = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
  const toolkit = process.env.CUDA_HOME || process.env.CUDA_PATH || "/usr/local/cuda";
  return [...wheels, toolkit]
    .map((path) => join(path, "include"))
    .filter((path) => existsSync(join(path, "nccl.h")) || existsSync(join(path, "cuda_runtime.h")));
}
