// What this machine is, in the words of wheels, and where set-up keeps things on it.
import { homedir, release } from "node:os";
import { join, resolve } from "node:path";

export const cacheFolder = () => resolve(process.env.RFDETR_HOME ?? join(homedir(), ".cache", "rfdetr"));

/** This platform, or another one for which things can be made here, such as `linux-arm64`. */
export const platformHere = `${process.platform}-${process.arch}`;

/** Version of the C library that runs; undefined where it is not glibc. @returns {string | undefined} */
export function glibcHere() {
  const report = /** @type {any} */ (process.report);
  const { excludeNetwork } = report;
  // Otherwise a report asks the network for the names of all connections. The setting is that of the whole process.
  report.excludeNetwork = true;
  try {
    return report.getReport().header.glibcVersionRuntime;
  } finally {
    report.excludeNetwork = excludeNetwork;
  }
}

/** The oldest macOS that torch's wheel is for, and an addon that is made elsewhere. */
export const oldestMacos = 14;

/** macOS 11 is Darwin 20, and macOS 26 is Darwin 25. */
const macosOf = (/** @type {number} */ darwin) => (darwin >= 25 ? darwin + 1 : darwin - 9);

/**
 * The machine that set-up runs on, or one of another platform. @param {string} [name] of the platform
 * @returns {Machine}
 */
export function machineOf(name = platformHere) {
  const [platform, arch] = name.split("-");
  const macos = process.platform === "darwin" ? macosOf(Number.parseInt(release(), 10)) : oldestMacos;
  return { platform, arch, glibc: glibcHere(), macos };
}

/** @typedef {{platform: string, arch: string, glibc: string | undefined, macos: number}} Machine */

/**
 * Whether a platform tag of a wheel fits a machine: the same system and processor, and for Linux no newer C library
 * than its own (PEP 600, PEP 425).
 * @param {string} tag such as `manylinux_2_28_x86_64` @param {Machine} machine
 */
export function platformFits(tag, { platform, arch, glibc, macos }) {
  const cpu = { x64: "x86_64", arm64: platform === "darwin" ? "arm64" : "aarch64" }[arch];
  if (cpu === undefined || !tag.endsWith(`_${cpu}`)) return false;
  const system = tag.slice(0, -cpu.length - 1);
  if (platform === "darwin") return Number(/^macosx_(\d+)_\d+$/.exec(system)?.[1] ?? Number.NaN) <= macos;
  if (platform !== "linux" || glibc === undefined) return false;
  if (system === "linux") return true;
  const legacy = { manylinux1: "2.5", manylinux2010: "2.12", manylinux2014: "2.17" };
  const needed = legacy[system] ?? /^manylinux_(\d+_\d+)$/.exec(system)?.[1].replace("_", ".");
  return needed !== undefined && needed.localeCompare(glibc, "en", { numeric: true }) <= 0;
}
