// Downloads libtorch: from an index of wheels, or by pip where that fails. Each wheel is checked against a hash before
// anything of it is used, and what is unpacked is put in its place when it is whole.
import { mkdirSync, readFileSync, renameSync, rmSync, statfsSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheFolder, glibcHere, machineOf, platformFits, platformHere } from "./machine.mjs";
import { pythons, pythonWithPip } from "./python.mjs";
import { isFull, SetupError, say } from "./report.mjs";
import { checkHash, downloadWheel, unpackWheel } from "./wheel.mjs";
import { fetchWheel, findWheel, wheelIndex } from "./wheel-index.mjs";

/** The version of libtorch that is downloaded. */
export const torchVersion = "2.15.0";

/**
 * Wheels of the default version, as PyPI has them. Each is checked against its SHA-256 before anything of it is used,
 * so that no index can send another one. Sizes in bytes are for the progress bar and the check of free space.
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

/**
 * Whether a CPU needs a file of a wheel. @param {string} name
 * @internal for tests
 */
export const neededOnCpu = (name) =>
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

/** @param {boolean} cuda */
const needed = (cuda) => (cuda ? neededOnGpu : neededOnCpu);
const nameOf = (/** @type {{requirement: string}} */ { requirement }) => requirement.split("==")[0];

/** Downloads wheels by pip and unpacks what is needed of them into a folder. */
async function fetchByPip(target, python, wanted, cuda) {
  const folder = join(target, "wheels");
  // All at once: the network is not always what one of them waits for.
  const downloads = wanted.map((wheel) => {
    say(`  downloading ${wheel.requirement} through pip`);
    return downloadWheel({ python, ...wheel, folder: join(folder, nameOf(wheel)), label: nameOf(wheel) });
  });
  for (const download of downloads) download.catch(() => {}); // awaited in turn below
  for (const [i, wheel] of wanted.entries()) {
    const path = await downloads[i];
    const label = `unpacking ${nameOf(wheel)}`;
    await Promise.all([checkHash(path, wheel.sha256), unpackWheel(path, target, needed(cuda), label)]);
    rmSync(path);
  }
  rmSync(folder, { recursive: true, force: true });
}

/** Where wheels of an index are, until all of them are unpacked. */
const downloads = () => join(cacheFolder(), "downloads");

/**
 * Downloads wheels from an index and unpacks what is needed of them into a folder. A wheel that is built for the CPU
 * needs no other. What was downloaded stays until all of it is unpacked, so that another try continues it.
 */
async function fetchFromIndex(target, { torch, extra }, platform) {
  const index = wheelIndex();
  const machine = machineOf(platform);
  const folder = downloads();
  const take = async (wheel) => {
    const found = await findWheel(index, wheel.requirement, (tag) => platformFits(tag, machine));
    // A build for the CPU is another file than the pinned one: the hash that the index gives has to do.
    if (!found.version.endsWith("+cpu") && found.sha256 !== wheel.sha256)
      throw new Error(`${new URL(found.url).host}: ${found.file} is another file than the published one`);
    say(`  downloading ${nameOf(wheel)} ${found.version} from ${new URL(found.url).host}`);
    const path = await fetchWheel(found, folder, nameOf(wheel));
    try {
      await checkHash(path, found.sha256);
    } catch (error) {
      rmSync(path);
      throw error;
    }
    await unpackWheel(path, target, neededOnCpu, `unpacking ${nameOf(wheel)}`);
    return found;
  };
  const { version } = await take(torch);
  if (!version.endsWith("+cpu")) for (const wheel of extra) await take(wheel);
  rmSync(folder, { recursive: true, force: true });
}

/**
 * Why there is no libtorch to download for a system, and what to do; null where there is one.
 * @param {boolean} cuda @param {string} [platform] @param {string} [glibc] version of the C library; "" for another one
 * @returns {{problem: string, remedy?: string} | null}
 */
export function faultOfSystem(cuda, platform = platformHere, glibc = glibcHere() ?? "") {
  if (wheels[platform] === undefined) return { problem: `There is no wheel of torch ${torchVersion} for ${platform}` };
  if (platform.startsWith("linux") && glibc === "")
    return {
      problem: "libtorch needs glibc, and this system has another C library, such as musl in Alpine",
      remedy: "use a system or a container image with glibc, such as Debian, Ubuntu or node:22-bookworm-slim",
    };
  if (cuda && cudaWheels[platform] === undefined) return { problem: `There is no libtorch with CUDA for ${platform}` };
  return null;
}

/**
 * Fills the folder `home` in the first way that works.
 * @param {string} home @param {boolean} cuda @param {string[]} tried what was looked at before
 * @param {string} platform whose libtorch it is @param {() => void} beforeDownload throws if it would be in vain
 * @throws SetupError that tells what each way said
 */
export async function fetchEngine(home, cuda, tried, platform, beforeDownload) {
  const plan = wheels[platform];
  const own = "set LIBTORCH to a libtorch folder (2.11 or newer) that you have from elsewhere";
  const fault = faultOfSystem(cuda, platform);
  if (fault !== null)
    throw new SetupError(fault.problem, { tried, remedies: fault.remedy ? [fault.remedy, own] : [own] });
  beforeDownload();
  mkdirSync(dirname(home), { recursive: true });
  const space = statfsSync(dirname(home));
  const free = space.bavail * space.bsize;
  const room = cuda ? 12e9 : plan.torch.bytes + 8e8;
  const noRoom = (/** @type {string} */ problem) =>
    new SetupError(problem, {
      tried,
      remedies: ["free some space there", "name a folder on another disk in the variable RFDETR_HOME", own],
    });
  if (free < room)
    throw noRoom(
      `libtorch needs ${Math.round(room / 2 ** 20)} MiB in ${dirname(home)} while it is unpacked; ${Math.round(free / 2 ** 20)} MiB are free`,
    );

  // Everything happens beside the final place and is renamed there when it is whole.
  const temporary = `${home}.partial`;
  const attempt = async (/** @type {string} */ way, /** @type {() => Promise<void>} */ fill) => {
    rmSync(temporary, { recursive: true, force: true });
    try {
      await fill();
      // What stands there was found unusable before.
      rmSync(home, { recursive: true, force: true });
      renameSync(temporary, home);
      return true;
    } catch (error) {
      rmSync(temporary, { recursive: true, force: true });
      if (isFull(error)) {
        // What fills a disk is in the way of whoever makes room.
        rmSync(downloads(), { recursive: true, force: true });
        throw noRoom(`libtorch could not be written to ${dirname(home)}: the disk is full`);
      }
      tried.push(`${way}: ${error.message}`);
      return false;
    }
  };
  // NVIDIA's libraries are in the index of a version of CUDA each: pip knows where.
  if (!cuda && (await attempt("the index of wheels", () => fetchFromIndex(temporary, plan, platform)))) return;
  const python = pythonWithPip();
  if (python === null) tried.push(`pip: none of ${pythons().join(", ")} runs pip`);
  else {
    const wanted = [plan.torch, ...(cuda ? cudaWheels[platform] : plan.extra)];
    if (await attempt("pip download", () => fetchByPip(temporary, python, wanted, cuda))) return;
  }
  throw new SetupError("libtorch could not be downloaded", {
    tried,
    remedies: [
      "check the network (and the variables HTTPS_PROXY, NODE_EXTRA_CA_CERTS, PIP_INDEX_URL) and run the same command again: it goes on where it was",
      "name a mirror of an index of wheels in the variable RFDETR_WHEEL_INDEX",
      ...(python === null ? ["install Python 3 with pip, or name one in the variable PYTHON"] : []),
      own,
      `on a machine with network, run: pip download --no-deps torch==${torchVersion}; unpack the wheel and set LIBTORCH to its torch folder`,
    ],
  });
}
