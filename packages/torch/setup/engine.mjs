// Where libtorch comes from: LIBTORCH, the active Python's torch, the project's cache, a wheel from PyPI; the first
// that fits.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statfsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { pythons, pythonTorch, pythonWithPip } from "./python.mjs";
import { SetupError, say } from "./report.mjs";
import { checkHash, downloadWheel, unpackWheel } from "./wheel.mjs";

/**
 * @typedef {{root: string, version: string, source: "LIBTORCH" | "python" | "cache" | "wheel", cuda: boolean}} Engine
 */

const torchVersion = "2.15.0";
const oldest = [2, 11];

/**
 * Wheels of the default version. Each is checked against its SHA-256 before anything of it is used, so that no index
 * can send another one; sizes in bytes are for the progress bar and the check of free space.
 */
const wheels = {
  "linux-x64": {
    torch: {
      requirement: `torch==${torchVersion}`,
      platforms: ["manylinux_2_28_x86_64"],
      bytes: 539_136_850,
      sha256: "48c2d861134c0b5697c7602cb5ffa68f62a2989fdcd1717e593356f67996ca1e",
    },
    // libtorch_cpu.so of the CUDA build is linked against these two, also where there is no GPU.
    extra: [
      {
        requirement: "nvidia-cuda-runtime==13.2.86",
        platforms: ["manylinux2014_x86_64", "manylinux_2_17_x86_64"],
        bytes: 2_323_576,
        sha256: "3498247680dfddce31bad102af7e3e26fc795342a3cac64722bb0fa95e7f60f0",
      },
      {
        requirement: "nvidia-cuda-cupti==13.2.86",
        platforms: ["manylinux_2_25_x86_64"],
        bytes: 11_988_600,
        sha256: "8fa29f15dd8336181f961764d9d95236fc6b931dd0c8fcf8cd70aab0c310b586",
      },
    ],
  },
  "linux-arm64": {
    torch: {
      requirement: `torch==${torchVersion}`,
      platforms: ["manylinux_2_28_aarch64"],
      bytes: 483_605_887,
      sha256: "58ce2ebfb3430941353109a85be63ee8e941da22f13daa2c43344eeb51c81e06",
    },
    extra: [
      {
        requirement: "nvidia-cuda-runtime==13.2.86",
        platforms: ["manylinux2014_aarch64", "manylinux_2_17_aarch64"],
        bytes: 2_341_433,
        sha256: "37844957894bfdecf90243568d21a2cb251b66106915b71459a23c8e6ef2da69",
      },
      {
        requirement: "nvidia-cuda-cupti==13.2.86",
        platforms: ["manylinux_2_25_aarch64"],
        bytes: 11_760_263,
        sha256: "d9a5c133f73fcb9013f3ada0da6fb54d4117618d81f3f5a0419417ea6ee829d4",
      },
    ],
  },
  "darwin-arm64": {
    torch: {
      requirement: `torch==${torchVersion}`,
      platforms: ["macosx_14_0_arm64", "macosx_11_0_arm64"],
      bytes: 138_527_954,
      sha256: "e808b63d616a43b326e1a5677d45a2e5babe7a8ce27edb03ddb48e7dd9b6d663",
    },
    extra: [],
  },
};

/**
 * The wheels of NVIDIA that torch's wheel requires, by platform: what `pip install --dry-run --report` resolves for it,
 * without what only Python uses, and two of headers that the addon needs to use NCCL.
 * @type {Record<string, {requirement: string, platforms: string[], bytes: number, sha256: string}[]>}
 */
const cudaWheels = JSON.parse(readFileSync(new URL("./cuda-wheels.json", import.meta.url), "utf8"));

export const cacheFolder = () => resolve(process.env.RFDETR_HOME ?? join(homedir(), ".cache", "rfdetr"));

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

/** What a CPU needs of the torch wheel. */
const neededOnCpu = (name) =>
  name.startsWith("torch/include/") ||
  name === "torch/version.py" ||
  /^torch\/lib\/(libtorch_cpu|libtorch|libc10)\.(so|dylib)$/.test(name) ||
  /^torch\/lib\/lib(gomp|gfortran|omp|arm_compute|openblas|nvpl)[^/]*$/.test(name) ||
  /^torch\/\.dylibs\//.test(name) ||
  /^torch\.libs\//.test(name) ||
  /^nvidia\/cu\d+\/lib\/[^/]+\.so[^/]*$/.test(name);

/** What a GPU needs beside that: all libraries, of torch and of NVIDIA, and NVIDIA's headers. */
const neededOnGpu = (name) =>
  neededOnCpu(name) ||
  /^(torch|nvidia\/[^/]+)\/lib\/[^/]+\.so[^/]*$/.test(name) ||
  /^nvidia\/[^/]+\/include\//.test(name);

/**
 * Folders of NVIDIA's headers that lie beside a libtorch with CUDA, as wheels put them there.
 * @param {Engine} engine
 */
export function cudaHeaders({ root, cuda }) {
  const folder = join(root, "..", "nvidia");
  if (!cuda || !existsSync(folder)) return [];
  return readdirSync(folder)
    .map((name) => join(folder, name, "include"))
    .filter((path) => existsSync(join(path, "nccl.h")) || existsSync(join(path, "cuda_runtime.h")));
}

/** Downloads wheels and unpacks what is needed of them into a folder. */
async function fetchWheels(target, python, wanted, cuda) {
  const folder = join(target, "wheels");
  // All at once: the network is not always what one of them waits for.
  const downloads = wanted.map((wheel) => {
    const name = wheel.requirement.split("==")[0];
    say(`  downloading ${wheel.requirement} through pip`);
    return downloadWheel({ python, ...wheel, folder: join(folder, name), label: name });
  });
  for (const download of downloads) download.catch(() => {}); // awaited in turn below
  for (const [i, wheel] of wanted.entries()) {
    const path = await downloads[i];
    const label = `unpacking ${wheel.requirement.split("==")[0]}`;
    await Promise.all([
      checkHash(path, wheel.sha256),
      unpackWheel(path, target, cuda ? neededOnGpu : neededOnCpu, label),
    ]);
    rmSync(path);
  }
  rmSync(folder, { recursive: true, force: true });
}

async function fetchEngine(home, cuda, tried) {
  const platform = `${process.platform}-${process.arch}`;
  const plan = wheels[platform];
  const own = "set LIBTORCH to a libtorch folder (2.11 or newer) that you have from elsewhere";
  if (cuda && cudaWheels[platform] === undefined)
    throw new SetupError(`There is no libtorch with CUDA for ${platform}`, { tried, remedies: [own] });
  if (plan === undefined)
    throw new SetupError(`There is no wheel of torch ${torchVersion} for ${platform}`, { tried, remedies: [own] });
  const python = pythonWithPip();
  if (python === null)
    throw new SetupError("libtorch must be downloaded, and that takes a Python with pip; none was found", {
      tried: [...tried, `pip: none of ${pythons().join(", ")} runs pip`],
      remedies: [
        "install Python 3 with pip (Debian: apt-get install python3-pip)",
        "name a Python with pip in the variable PYTHON",
        own,
      ],
    });
  mkdirSync(dirname(home), { recursive: true });
  const space = statfsSync(dirname(home));
  const free = space.bavail * space.bsize;
  const needed = cuda ? 12e9 : plan.torch.bytes + 8e8;
  if (free < needed)
    throw new SetupError(
      `libtorch needs ${Math.round(needed / 2 ** 20)} MiB in ${dirname(home)} while it is unpacked; ${Math.round(free / 2 ** 20)} MiB are free`,
      { tried, remedies: ["free some space there", "name a folder on another disk in the variable RFDETR_HOME", own] },
    );

  // Everything happens beside the final place and is renamed there when it is whole.
  const temporary = `${home}.partial`;
  rmSync(temporary, { recursive: true, force: true });
  try {
    await fetchWheels(temporary, python, [plan.torch, ...(cuda ? cudaWheels[platform] : plan.extra)], cuda);
    // What stands there was found unusable before.
    rmSync(home, { recursive: true, force: true });
    renameSync(temporary, home);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw new SetupError("libtorch could not be downloaded", {
      tried: [...tried, `pip download: ${error.message}`],
      remedies: [
        "check the network (and the variables PIP_INDEX_URL, HTTPS_PROXY) and run the same command again",
        own,
        `on a machine with network, run: pip download --no-deps torch==${torchVersion}; unpack the wheel and set LIBTORCH to its torch folder`,
      ],
    });
  }
}
