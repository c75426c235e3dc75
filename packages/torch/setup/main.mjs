// The one set-up step: npm packages, libtorch, the addon, the TypeScript build. Each part that is done already costs
// nothing, and each can be repeated after any interruption.
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { addonSources, buildAddon, findCompiler } from "./addon.mjs";
import { resolveEngine } from "./engine.mjs";
import { locked } from "./lock.mjs";
import { look } from "./preflight.mjs";
import { SetupError, say } from "./report.mjs";
import { fingerprint, Stamps } from "./stamp.mjs";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
const packages = ["torch", "amp", "rfdetr"];
const stampFile = join(root, ".cache", "setup.json");
const addon = join(root, "packages/torch/build/torch.node");

const prints = {
  npm: () =>
    fingerprint([
      join(root, "package-lock.json"),
      join(root, "package.json"),
      ...packages.map((name) => join(root, "packages", name, "package.json")),
    ]),
  // LIBTORCH is part of it: another engine is another addon.
  addon: (options) =>
    fingerprint(
      [join(root, "packages/torch/native")],
      process.env.LIBTORCH ?? "",
      options.libtorch ?? "",
      options.cuda ?? false,
      process.env.CXX ?? "",
      process.version,
    ),
  build: () =>
    fingerprint([
      ...packages.flatMap((name) => [
        join(root, "packages", name, "src"),
        join(root, "packages", name, "tsconfig.json"),
      ]),
      join(root, "tsconfig.base.json"),
    ]),
};

/** The steps that were done for what is there now. */
function done(options) {
  const stamps = new Stamps(stampFile);
  return {
    npm: stamps.fits("npm", prints.npm(), join(root, "node_modules")),
    addon: stamps.fits("addon", prints.addon(options), addon),
    build: stamps.fits("build", prints.build(), join(root, "packages/rfdetr/dist")),
  };
}

/** Whether nothing is left to do. */
export function isReady(options = {}) {
  return Object.values(done(options)).every(Boolean);
}

/** What is there, what is missing and what is older than its sources. */
export async function preflight() {
  return await look(root, done({}));
}

/** Does what is left to do. @param {{libtorch?: string, cuda?: boolean}} options @throws SetupError */
export async function setup(options = {}) {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19))
    throw new SetupError(`Node.js ${process.versions.node} is too old; 20.19 or newer is needed`, {
      remedies: ["install a newer Node.js"],
    });
  if (isReady(options)) return;
  await locked(join(root, ".cache", "setup.lock"), async () => {
    const stamps = new Stamps(stampFile);
    const npm = prints.npm();
    if (!stamps.fits("npm", npm, join(root, "node_modules"))) {
      say("npm packages");
      // Not `npm ci`: it refuses locks without the optional packages of other platforms, which some registries do not
      // carry.
      run(
        "npm",
        ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"],
        "The npm packages could not be installed.",
        ["check the network and the npm registry setting, and run the same command again"],
      );
      // Installing may touch the lock file.
      stamps.set("npm", prints.npm());
    }
    const native = prints.addon(options);
    if (!stamps.fits("addon", native, addon)) {
      // What must be there in any case is asked for before half a gigabyte is fetched.
      if (findCompiler() === null) await buildAddon(root, { root: "", version: "", source: "cache", cuda: false });
      say("libtorch");
      const engine = await resolveEngine(options);
      say(`  ${engine.version} from ${engine.source === "wheel" ? "the wheel" : engine.source}: ${engine.root}`);
      say(`addon (${addonSources(root).sources.length} C++ files)`);
      await buildAddon(root, engine);
      stamps.set("addon", native);
    }
    const build = prints.build();
    if (!stamps.fits("build", build, join(root, "packages/rfdetr/dist"))) {
      say("TypeScript build");
      for (const name of packages)
        if (!existsSync(join(root, "packages", name, "dist/index.js")))
          rmSync(join(root, "packages", name, "dist/.tsbuildinfo"), { force: true });
      run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-b"], "The TypeScript build failed.", [
        "see the errors above; in a clean checkout this is a fault of the project",
      ]);
      stamps.set("build", build);
    }
  });
}

function run(command, args, problem, remedies) {
  const result = spawnSync(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" });
  if (result.status === 0) return;
  const lines = `${result.stderr ?? ""}\n${result.stdout ?? ""}`
    .split("\n")
    .filter((line) => line.trim() !== "" && !/^npm warn/i.test(line));
  throw new SetupError(problem, {
    tried: [
      `${command} ${args.join(" ")}: ${result.error?.message ?? `exit code ${result.status}`}`,
      ...lines.slice(0, 12),
    ],
    remedies,
  });
}

/**
 * Runs set-up for a command and ends the process with the report when it cannot be done.
 * @param {{libtorch?: string, cuda?: boolean, json?: boolean}} options with `json`, the error is on stdout too
 */
export async function setupOrExit(options = {}) {
  try {
    await setup(options);
  } catch (error) {
    if (options.json)
      console.log(JSON.stringify({ error: { code: "ERR_SETUP", message: error.problem ?? error.message } }));
    say(error instanceof SetupError ? `\nSet-up stopped: ${error.message}` : `\nSet-up failed: ${error.stack}`);
    process.exit(1);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf("--libtorch");
  await setupOrExit({ cuda: process.argv.includes("--cuda"), libtorch: at > 0 ? process.argv[at + 1] : undefined });
  say("ready");
}
