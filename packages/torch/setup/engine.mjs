// Where libtorch comes from: LIBTORCH, the one that was chosen before, the active Python's torch, the cache, a
// wheel; the first that fits.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { namedLibtorch, rememberedLibtorch, toForget } from "./chosen.mjs";
import { fetchEngine, torchVersion } from "./fetch-engine.mjs";
import { cacheFolder, platformHere } from "./machine.mjs";
import { pythonTorch } from "./python.mjs";
import { SetupError } from "./report.mjs";

/**
 * @typedef {"LIBTORCH" | "remembered" | "python" | "cache" | "wheel"} Source
 * @typedef {{root: string, version: string, source: Source, cuda: boolean}} Engine
 */

const oldest = [2, 11];

/** The folder of a libtorch, given itself or `site-packages`. @param {string} folder @returns {string | undefined} */
export function rootOf(folder) {
  const root = [folder, join(folder, "torch"), join(folder, "libtorch")].find((path) =>
    existsSync(join(path, "include", "torch")),
  );
  return root === undefined ? undefined : resolve(root);
}

/**
 * The engine in a libtorch folder or a `site-packages/torch` folder.
 * @param {string} folder @param {Source} source @returns {Engine | string} the engine, or why it is none
 */
export function inspect(folder, source) {
  const root = rootOf(folder);
  if (root === undefined) return `${folder} has no include/torch`;
  const library = ["libtorch_cpu.so", "libtorch_cpu.dylib"].find((name) => existsSync(join(root, "lib", name)));
  if (library === undefined) return `${root} has no lib/libtorch_cpu`;
  const version = versionOf(root);
  const [major, minor] = version.split(".").map(Number);
  if (!(major > oldest[0] || (major === oldest[0] && minor >= oldest[1])))
    return `${root} is torch ${version}, older than ${oldest.join(".")}`;
  return { root, version, source, cuda: existsSync(join(root, "lib", "libtorch_cuda.so")) };
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

const homeOf = (/** @type {boolean} */ cuda, platform = platformHere) =>
  join(
    cacheFolder(),
    ["libtorch", torchVersion, ...(platform === platformHere ? [] : [platform]), cuda ? "cuda" : "cpu"].join("-"),
  );

/** Whether a libtorch with CUDA was fetched once: it is then used without being asked for. */
export const hasCudaEngine = () => existsSync(homeOf(true));

/** The engine that the user chose, now or before; null for none. @param {string} [libtorch] @returns {Engine | null} */
function chosenEngine(libtorch) {
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
  const remembered = rememberedLibtorch();
  if (remembered === "") return null;
  const found = inspect(remembered, "remembered");
  if (typeof found !== "string") return found;
  throw new SetupError(`The libtorch that was chosen before cannot be used any more: ${found}`, {
    remedies: [`forget it: ${toForget}`, "choose another: rfdetr setup --libtorch DIR"],
  });
}

/**
 * Finds libtorch, or fetches it.
 * @param {{libtorch?: string, cuda?: boolean, fetch?: boolean, platform?: string, beforeDownload?: () => void}} options
 * `fetch: false` only looks; that of another platform is not looked for among what this one uses; `beforeDownload`
 * throws if a download would be in vain
 * @returns {Promise<Engine>}
 */
export async function resolveEngine(options = {}) {
  const { libtorch, cuda = false, fetch = true, platform = platformHere, beforeDownload = () => {} } = options;
  const tried = [];
  const home = homeOf(cuda, platform);
  if (platform === platformHere) {
    const found = usedEngine(libtorch, cuda, tried);
    if (found !== null) return found;
  }
  if (existsSync(home)) {
    const found = inspect(join(home, "torch"), "cache");
    if (typeof found !== "string") return found;
    tried.push(`the cache: ${found}`);
  } else tried.push(`the cache: ${home} does not exist`);
  if (!fetch)
    throw new SetupError("libtorch is not there yet", {
      tried,
      remedies: ["run npx rfdetr setup, which downloads it", "set LIBTORCH to a libtorch folder"],
    });
  await fetchEngine(home, cuda, tried, platform, beforeDownload);
  const found = inspect(join(home, "torch"), "wheel");
  if (typeof found === "string") throw new Error(`The unpacked wheel is not usable: ${found}`);
  return found;
}

/** The engine that the user chose, or that his Python has. @param {string[]} tried @returns {Engine | null} */
function usedEngine(libtorch, cuda, tried) {
  const chosen = chosenEngine(libtorch);
  if (chosen !== null) return chosen;
  tried.push("LIBTORCH: not set");
  const installed = pythonTorch();
  if (installed === null) tried.push("the active Python: no torch installed");
  else {
    const found = inspect(installed, "python");
    if (typeof found !== "string" && (!cuda || found.cuda)) return found;
    tried.push(`the active Python: ${typeof found === "string" ? found : `${installed} has no CUDA`}`);
  }
  return null;
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
