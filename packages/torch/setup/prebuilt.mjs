// An addon that was compiled elsewhere and came with the package: taken where it was made of the same sources and for
// the same libtorch, and where this machine can load it. `node prebuilt.mjs` makes one for this platform.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { compileAddon, compilerOrError, nodeApi } from "./addon.mjs";
import { resolveEngine } from "./engine.mjs";
import { glibcHere, platformHere } from "./machine.mjs";
import { say } from "./report.mjs";
import { filesBelow } from "./sources.mjs";

/**
 * @typedef {object} Manifest
 * @property {string} sources hash of the C++ files that it was made of
 * @property {string} torch version of libtorch; another one has another binary interface
 * @property {number} nodeApi level of Node-API that it needs
 * @property {string} glibc the oldest C library that it loads with; "" on macOS
 * @property {string} sha256 of torch.node
 */

/** The optional package that brings the addon of a platform. */
export const packageOf = (/** @type {string} */ platform) => `@rfdetr/torch-${platform}`;

/**
 * Where the addon of this platform lies: in the package of the platform where that is installed beside `torch`,
 * otherwise in `torch` itself. @param {string} torch the package's folder
 */
export function prebuiltFolder(torch) {
  try {
    return dirname(createRequire(join(torch, "package.json")).resolve(`${packageOf(platformHere)}/manifest.json`));
  } catch {
    return join(torch, "prebuilds", platformHere);
  }
}

/**
 * Hash of names and bytes of all C++ files. @param {string} native their folder
 * @internal for tests
 */
export function hashOfSources(native) {
  const hash = createHash("sha256");
  for (const file of filesBelow(native)) hash.update(`${relative(native, file)}\n`).update(readFileSync(file));
  return hash.digest("hex");
}

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const isOlder = (/** @type {string} */ a, /** @type {string} */ b) => a.localeCompare(b, "en", { numeric: true }) < 0;

/**
 * Why the prebuilt addon cannot be used; null if it can, and "" in a checkout that has none.
 * @param {string} torch the package's folder
 * @param {import("./engine.mjs").Engine | null} engine null if it is not known yet
 */
export function faultOfPrebuilt(torch, engine) {
  const folder = prebuiltFolder(torch);
  if (!existsSync(folder))
    return existsSync(join(torch, "src"))
      ? ""
      : `${packageOf(platformHere)} is not installed: npm leaves it out with --omit=optional`;
  /** @type {Manifest} */
  let manifest;
  let bytes;
  try {
    manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
    bytes = readFileSync(join(folder, "torch.node"));
  } catch (error) {
    return `it cannot be read: ${error.message}`;
  }
  if (sha256(bytes) !== manifest.sha256) return `${join(folder, "torch.node")} is damaged: its SHA-256 is another one`;
  if (hashOfSources(join(torch, "native")) !== manifest.sources) return "it was made of other sources";
  if (Number(process.versions.napi) < manifest.nodeApi)
    return `it needs Node-API ${manifest.nodeApi}, and this Node.js has ${process.versions.napi}`;
  const glibc = manifest.glibc === "" ? "" : glibcHere();
  if (glibc === undefined || isOlder(glibc, manifest.glibc))
    return `it needs glibc ${manifest.glibc}, and this system has ${glibc ?? "another C library"}`;
  if (engine === null) return null;
  if (engine.cuda) return "it is for a libtorch without CUDA";
  return engine.version === manifest.torch ? null : `it is for libtorch ${manifest.torch}, not ${engine.version}`;
}

/**
 * Loads an addon in a process of its own: a broken one can end it.
 * @param {string} file @returns {string | null} why it cannot be loaded
 */
export function faultOfLoading(file) {
  const { RFDETR_ISA: _, ...env } = process.env;
  const code = "require(process.argv[1]).engineVersion()";
  const { status, signal, stderr } = spawnSync(process.execPath, ["-e", code, file], { env, encoding: "utf8" });
  if (status === 0) return null;
  return (
    /^\w*Error: (.*)$/m.exec(stderr)?.[1] ?? (signal ? `loading it ended the process by ${signal}` : stderr.trim())
  );
}

/** The newest version of glibc whose symbols a library asks for. @param {Buffer} library */
function glibcOf(library) {
  const versions = [...library.toString("latin1").matchAll(/GLIBC_(\d+\.\d+(?:\.\d+)?)\0/g)].map(
    ([, version]) => version,
  );
  return versions.reduce((newest, version) => (isOlder(newest, version) ? version : newest), "");
}

/**
 * Makes the addon of a platform and its manifest.
 * @param {string} folder where they are put
 * @param {string} [platform] this one, or one that it can be compiled for here
 * @throws SetupError where the compiler for it, or its libtorch, is missing
 */
export async function makePrebuilt(folder, platform = platformHere) {
  compilerOrError(null, platform);
  const engine = await resolveEngine({ platform });
  if (engine.cuda) throw new Error("A prebuilt addon is made for a libtorch without CUDA");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "torch.node");
  await compileAddon(engine, file, { isPrebuilt: true, platform });
  const bytes = readFileSync(file);
  const manifest = {
    sources: hashOfSources(join(here, "native")),
    torch: engine.version,
    nodeApi,
    glibc: glibcOf(bytes),
    sha256: sha256(bytes),
  };
  writeFileSync(join(folder, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  say(`${file}: libtorch ${manifest.torch}, Node-API ${nodeApi}, glibc ${manifest.glibc}, ${bytes.length} bytes`);
}

/** This package. */
const here = fileURLToPath(new URL("..", import.meta.url));
// Nothing is awaited here: CommonJS could not require this module then.
if (process.argv[1] === fileURLToPath(import.meta.url)) makePrebuilt(join(here, "prebuilds", platformHere));
