// Puts the addon into its place: a prebuilt one where it serves, otherwise a compiled one; either only if it loads.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { addonSources, compileAddon, compilerOrError } from "./addon.mjs";
import { chosenLibtorch } from "./chosen.mjs";
import { hasCudaEngine, rootOf } from "./engine.mjs";
import { faultOfLoading, faultOfPrebuilt, prebuiltFolder } from "./prebuilt.mjs";
import { SetupError, say } from "./report.mjs";

/**
 * What the addon in `build` was put there for; `prebuilt` if it came with the package. @param {string} build
 * @returns {{root: string, source?: import("./engine.mjs").Source, cuda?: boolean, prebuilt: boolean}}
 * with the root "" if that is unknown
 */
export function builtFor(build) {
  try {
    return JSON.parse(readFileSync(join(build, "engine.json"), "utf8"));
  } catch {
    return { root: "", prebuilt: false };
  }
}

/** Makes the addon count for no libtorch. @param {string} build */
export const forgetEngine = (build) => rmSync(join(build, "engine.json"), { force: true });

/**
 * Whether the addon is for the libtorch that is asked for. Who asks for none takes what there is: the user who runs it
 * may be another than the one who chose.
 * @param {ReturnType<typeof builtFor>} built
 * @param {{libtorch?: string, cuda?: boolean, noPrebuilt?: boolean}} options
 */
export function isWanted(built, { libtorch, cuda = false, noPrebuilt = false }) {
  if (!existsSync(built.root) || (noPrebuilt && built.prebuilt)) return false;
  const chosen = chosenLibtorch(libtorch);
  if (chosen !== "") return built.root === (rootOf(chosen) ?? chosen);
  const wasChosen = built.source === "LIBTORCH" || built.source === "remembered";
  if (libtorch !== undefined && wasChosen) return false;
  return built.cuda === true || !(cuda || (hasCudaEngine() && !wasChosen));
}

/** What a set-up of this folder that was killed left there; no other runs, since this one holds the lock. */
const leftover = /^(torch\.\d+\.tmp\.node|engine\.\d+|setup\.json\.\d+)$/;

/** Removes it. @param {string[]} folders */
export function removeLeftovers(...folders) {
  for (const folder of folders)
    for (const name of existsSync(folder) ? readdirSync(folder) : [])
      if (leftover.test(name)) rmSync(join(folder, name), { force: true });
}

/** The wish of the user, and of one who names a compiler. @param {{noPrebuilt?: boolean}} options */
const compilesAnyway = ({ noPrebuilt = false }) => noPrebuilt || Boolean(process.env.CXX);

/**
 * Whether the addon must be compiled. Ends with an error if it cannot be: asked before half a gigabyte is fetched.
 * @param {string} torch @param {{noPrebuilt?: boolean}} options
 */
export function mustCompile(torch, options) {
  const fault = compilesAnyway(options) ? "" : faultOfPrebuilt(torch, null);
  if (fault !== null) compilerOrError(fault);
  return fault !== null;
}

/**
 * @param {string} torch the package's folder
 * @param {import("./engine.mjs").Engine} engine
 * @param {{noPrebuilt?: boolean}} options
 */
export async function installAddon(torch, engine, options) {
  const build = join(torch, "build");
  mkdirSync(build, { recursive: true });
  const temporary = join(build, `torch.${process.pid}.tmp.node`);
  const finish = (/** @type {boolean} */ prebuilt) => {
    writeFileSync(join(build, "engine.json"), `${JSON.stringify({ ...engine, prebuilt }, null, 2)}\n`);
    renameSync(temporary, join(build, "torch.node"));
  };
  try {
    const fault = compilesAnyway(options) ? "" : takePrebuilt(torch, engine, build, temporary);
    if (fault === null) {
      say("addon (prebuilt)");
      return finish(true);
    }
    if (fault !== "") say(`the prebuilt addon is not used: ${fault}`);
    say(`addon (${addonSources().length} C++ files; those that were compiled before are kept)`);
    await compileAddon(engine, temporary, { fault });
    const problem = faultOfLoading(temporary);
    if (problem !== null)
      throw new SetupError(`The addon was compiled but cannot be loaded: ${problem}`, {
        remedies: [
          "use the compiler and the C++ library that this system came with; name the compiler in CXX",
          "set LIBTORCH to another libtorch",
        ],
      });
    finish(false);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Copies the prebuilt addon, if it serves. @returns {string | null} why not */
function takePrebuilt(torch, engine, build, temporary) {
  const fault = faultOfPrebuilt(torch, engine);
  if (fault !== null) return fault;
  // It looks for libtorch in a folder beside itself.
  const link = join(build, `engine.${process.pid}`);
  symlinkSync(engine.root, link);
  renameSync(link, join(build, "engine"));
  copyFileSync(join(prebuiltFolder(torch), "torch.node"), temporary);
  return faultOfLoading(temporary);
}
