// The one set-up step: npm packages, libtorch, the addon, the TypeScript build. Each part that is done already costs
// nothing, and each can be repeated after any interruption.
import { spawn } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { compileEarly, torch } from "./addon.mjs";
import { chosenLibtorch, forgetLibtorch, namedLibtorch, rememberedLibtorch, rememberLibtorch } from "./chosen.mjs";
import { hasCudaEngine, inspect, resolveEngine, rootOf } from "./engine.mjs";
import { builtFor, forgetEngine, installAddon, isWanted, mustCompile, removeLeftovers } from "./install.mjs";
import { locked } from "./lock.mjs";
import { look } from "./preflight.mjs";
import { progress } from "./progress.mjs";
import { explained, SetupError, say } from "./report.mjs";
import { contentPrint, fingerprint, Stamps } from "./stamp.mjs";
import { stoppable, untilDone } from "./stopping.mjs";

export const root = resolve(torch, "../..");
/** An installed package has no TypeScript sources: it is built, and its npm packages are there. */
const isCheckout = existsSync(join(torch, "src"));
const packages = ["torch", "amp", "rfdetr"];
const build = join(torch, "build");
const notes = isCheckout ? join(root, ".cache") : build;
const stampFile = join(notes, "setup.json");
const addon = join(build, "torch.node");

const addonPrint = isCheckout ? fingerprint : contentPrint;

/** @typedef {{libtorch?: string, cuda?: boolean, noPrebuilt?: boolean}} Options */

const prints = {
  npm: () =>
    fingerprint([
      join(root, "package-lock.json"),
      join(root, "package.json"),
      ...packages.map((name) => join(root, "packages", name, "package.json")),
    ]),
  addon: () => addonPrint([join(torch, "native")], process.env.CXX ?? "", process.version),
  // One that was cut off since then is made again.
  file: () => addonPrint([addon]),
  build: () =>
    fingerprint([
      ...packages.flatMap((name) => [
        join(root, "packages", name, "src"),
        join(root, "packages", name, "tsconfig.json"),
      ]),
      join(root, "tsconfig.base.json"),
    ]),
};

/** Other commands, which know no `--cuda`, must not go back to a libtorch for the CPU. */
const wantsCuda = (/** @type {Options} */ options) => options.cuda === true || hasCudaEngine();

/** Whether a libtorch with CUDA is asked for by name, and the one that was chosen before has none. */
function replacesChoice(/** @type {Options} */ options) {
  if (namedLibtorch(options.libtorch) !== "") return false;
  const found = inspect(rememberedLibtorch(), "remembered");
  return typeof found === "string" || !found.cuda;
}

/** The steps that were done for what is there now. @param {Options} options */
function done(options) {
  const stamps = new Stamps(stampFile);
  return {
    npm: !isCheckout || stamps.fits("npm", prints.npm(), join(root, "node_modules")),
    addon:
      isWanted(builtFor(build), options) &&
      stamps.fits("addon", prints.addon(), addon) &&
      stamps.fits("file", prints.file()),
    build: !isCheckout || stamps.fits("build", prints.build(), join(root, "packages/rfdetr/dist")),
  };
}

/** Whether nothing is left to do. */
export function isReady(options = {}) {
  return Object.values(done(options)).every(Boolean);
}

/** Whether all is there but the addon: npm packages and, in a checkout, a build of the sources as they are now. */
export function isBuilt() {
  const { npm, build } = done({});
  return npm && build;
}

/** The libtorch that the addon was put there for, and whether the user chose it; null if there is none. */
export function libtorchInUse() {
  const { root } = builtFor(build);
  return root === "" ? null : { root, isChosen: root === (rootOf(chosenLibtorch()) ?? "") };
}

/** What is there, what is missing and what is older than its sources. */
export async function preflight() {
  const steps = done({});
  // By `npm install`, before the first set-up.
  if (new Stamps(stampFile).values.npm === undefined) steps.npm = true;
  return await look(isCheckout ? root : null, steps, builtFor(build).root);
}

/** Does what is left to do. @param {Options} options `noPrebuilt` compiles in any case @throws SetupError */
export async function setup(options = {}) {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19))
    throw new SetupError(`Node.js ${process.versions.node} is too old; 20.19 or newer is needed`, {
      remedies: ["install a newer Node.js"],
    });
  const isForgotten = forgetLibtorch(options.libtorch, options.cuda === true && replacesChoice(options));
  // If this is interrupted, the addon for the choice that is forgotten does not count.
  if (isForgotten) forgetEngine(build);
  if (isReady(options)) return;
  await locked(join(notes, "setup.lock"), async () => {
    removeLeftovers(build, notes);
    const ready = done(options);
    const stamps = new Stamps(stampFile);
    // The network, the processor and the disk are busy in turns: what does not wait for another step runs beside it.
    const npm = ready.npm ? Promise.resolve() : installPackages(stamps);
    const typescript = async () => {
      await npm;
      if (!ready.build) await buildTypescript(stamps);
    };
    await Promise.all([ready.addon ? undefined : makeAddon(stamps, npm, options), typescript()]);
  });
}

/** @param {Stamps} stamps */
async function installPackages(stamps) {
  // Not `npm ci`: it refuses locks without the optional packages of other platforms, which some registries do not
  // carry. The install script of onnxruntime-node would fetch 300 MB for CUDA.
  await run(
    "npm packages",
    "npm",
    ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error", "--onnxruntime-node-install=skip"],
    "The npm packages could not be installed",
    ["check the network and the npm registry setting, and run the same command again"],
  );
  // Installing may touch the lock file.
  stamps.set("npm", prints.npm());
}

/** @param {Stamps} stamps @param {Promise<void>} npm brings headers that the compiler needs @param {Options} options */
async function makeAddon(stamps, npm, options) {
  say("libtorch");
  let early = Promise.resolve();
  const beforeDownload = () => {
    if (mustCompile(torch, options)) early = compileEarly();
    early.catch(() => {}); // awaited below
  };
  const engine = await resolveEngine({ ...options, cuda: wantsCuda(options), beforeDownload });
  say(`  ${engine.version} from ${engine.source === "wheel" ? "the wheel" : engine.source}: ${engine.root}`);
  await Promise.all([npm, early]);
  const print = prints.addon();
  await installAddon(torch, engine, options);
  if (engine.source === "LIBTORCH") rememberLibtorch(engine.root);
  stamps.set("addon", print);
  stamps.set("file", prints.file());
}

/** @param {Stamps} stamps */
async function buildTypescript(stamps) {
  const print = prints.build();
  for (const name of packages)
    if (!existsSync(join(root, "packages", name, "dist/index.js")))
      rmSync(join(root, "packages", name, "dist/.tsbuildinfo"), { force: true });
  await run(
    "TypeScript build",
    process.execPath,
    [join(root, "node_modules/typescript/bin/tsc"), "-b"],
    "The TypeScript build failed",
    ["see the errors above; in a clean checkout this is a fault of the project"],
  );
  stamps.set("build", print);
}

/** Runs a program that takes long. @param {string} name of what it does */
function run(name, command, args, problem, remedies) {
  say(name);
  return progress.during(name, () => finished(command, args, problem, remedies));
}

/** @returns {Promise<void>} */
function finished(command, args, problem, remedies) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    const isDone = untilDone(() => child.kill());
    child.on("close", isDone);
    const output = { stdout: "", stderr: "" };
    for (const name of /** @type {const} */ (["stdout", "stderr"]))
      child[name].setEncoding("utf8").on("data", (chunk) => {
        output[name] += chunk;
      });
    const fail = (/** @type {string} */ how) => {
      const lines = `${output.stderr}\n${output.stdout}`
        .split("\n")
        .filter((line) => line.trim() !== "" && !/^npm warn/i.test(line));
      const tried = [`${command} ${args.join(" ")}: ${how}`, ...lines.slice(0, 12)];
      reject(new SetupError(problem, { tried, remedies }));
    };
    child.on("error", (error) => fail(error.message));
    child.on("close", (code, signal) => (code === 0 ? resolve() : fail(signal ?? `exit code ${code}`)));
  });
}

/**
 * Runs set-up for a command and ends the process with the report when it cannot be done.
 * @param {Options & {json?: boolean}} options with `json`, the error is on stdout too
 */
export async function setupOrExit(options = {}) {
  try {
    await stoppable(() => setup(options));
  } catch (cause) {
    const error = explained(cause, notes);
    if (options.json)
      console.log(JSON.stringify({ error: { code: "ERR_SETUP", message: error.problem ?? error.message } }));
    say(error instanceof SetupError ? `\nSet-up stopped: ${error.message}` : `\nSet-up failed: ${error.stack}`);
    process.exit(1);
  }
}

// Nothing is awaited here: CommonJS could not require this module then.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf("--libtorch");
  setupOrExit({
    cuda: process.argv.includes("--cuda"),
    libtorch: at > 0 ? process.argv[at + 1] : undefined,
    noPrebuilt: process.argv.includes("--no-prebuilt"),
  }).then(() =>
    say("ready; next: npx rfdetr demo trains a small detector, npx vitest run packages/amp runs some tests"),
  );
}
