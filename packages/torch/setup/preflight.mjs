// What `rfdetr doctor` says before anything is set up: what is there, what is missing, what to do.
import { existsSync, statfsSync } from "node:fs";
import { dirname, join } from "node:path";
import { nodeHeaders, torch } from "./addon.mjs";
import { chosenLibtorch, toForget } from "./chosen.mjs";
import { findCompiler } from "./compile.mjs";
import { inspect, resolveEngine } from "./engine.mjs";
import { faultOfSystem } from "./fetch-engine.mjs";
import { cacheFolder } from "./machine.mjs";
import { faultOfPrebuilt } from "./prebuilt.mjs";
import { pythonWithPip } from "./python.mjs";
import { wheelIndex } from "./wheel-index.mjs";

/** What is said of an addon that came with the package. */
const inPackage = "prebuilt, and not in its place yet: nothing is compiled";
const notUsed = (/** @type {string} */ fault) => `not built, and the prebuilt one does not serve: ${fault}`;

/**
 * @param {string | null} root of the checkout; null for an installed package
 * @param {{npm: boolean, addon: boolean, build: boolean}} done the steps that fit the sources as they are now
 * @param {string} built folder of the libtorch that the addon is for; "" if that is unknown
 * @param {{addon?: string, fault?: string | null}} [there] the addon in its place, and why the prebuilt one does not
 * serve: see `faultOfPrebuilt`
 * @returns {Promise<import("./main.d.mts").Check[]>}
 */
export async function look(root, done, built = "", there = {}) {
  const checks = [];
  const setup = root === null ? "run npx rfdetr setup" : "run npm run setup";
  const add = (name, ok, found, remedy) => checks.push({ name, ok, found, ...(ok ? {} : { remedy }) });
  const [major, minor] = process.versions.node.split(".").map(Number);
  add("Node.js", major > 20 || (major === 20 && minor >= 19), process.versions.node, "install Node.js 20.19 or newer");
  const used = done.addon ? inspect(built, "cache") : "";
  const engine = typeof used === "string" ? await resolveEngine({ fetch: false }).catch(() => null) : used;
  const fault = engine === null && chosenLibtorch() === "" ? faultOfSystem(false) : null;
  if (fault !== null) {
    add("system", false, fault.problem, fault.remedy ?? "choose a libtorch of your own: rfdetr setup --libtorch DIR");
    return checks;
  }
  /** What a step of set-up makes. */
  const product = (name, exists, fits, made, absent = `not ${made}`) => {
    const stale = exists && !fits;
    const found = stale ? `${made} before the last change of what it is made from` : exists ? made : absent;
    add(name, exists && fits, found, setup);
    if (stale) checks[checks.length - 1].stale = true;
  };
  const { addon = join(torch, "build/torch.node"), fault: unfit = faultOfPrebuilt(torch, engine) } = there;
  const hasPrebuilt = unfit === null;
  if (root !== null) product("npm packages", existsSync(`${root}/node_modules/typescript`), done.npm, "installed");
  const compiler = findCompiler();
  add(
    "C++ compiler",
    compiler !== null || hasPrebuilt,
    compiler?.join(" ") ??
      (hasPrebuilt ? "none, and none needed: the addon is prebuilt" : "none of CXX, g++, clang++, c++"),
    "install one (Debian: apt-get install g++), or name one in CXX",
  );
  const headers = nodeHeaders();
  add("Node-API headers", headers !== null, headers ?? "none", `${setup}, or use a Node.js installed with its headers`);
  if (engine !== null)
    add("libtorch", true, `${engine.version}${engine === used ? "" : ` (${engine.source})`} in ${engine.root}`);
  else {
    const { host } = new URL(wheelIndex());
    const python = pythonWithPip();
    const way =
      python === null ? `from ${host} (there is no Python with pip for another way)` : `from ${host}, or by pip`;
    const chosen = chosenLibtorch();
    if (chosen === "") add("libtorch", false, "not there yet", `${setup}, which downloads it (at most 540 MB) ${way}`);
    else
      add(
        "libtorch",
        false,
        `${chosen}, which was chosen, cannot be used`,
        `unset LIBTORCH, or forget it: ${toForget}`,
      );
    let folder = cacheFolder();
    while (!existsSync(folder)) folder = dirname(folder);
    const { bavail, bsize } = statfsSync(folder);
    add(
      "disk space",
      bavail * bsize > 1.4e9,
      `${Math.round((bavail * bsize) / 2 ** 20)} MiB free for ${cacheFolder()}`,
      "free 1.4 GB there, or name another folder in RFDETR_HOME",
    );
  }
  product(
    "addon",
    existsSync(addon),
    done.addon,
    "built",
    hasPrebuilt ? inPackage : unfit ? notUsed(unfit) : undefined,
  );
  if (hasPrebuilt && !existsSync(addon)) checks[checks.length - 1].prebuilt = true;
  if (root !== null)
    product("TypeScript build", existsSync(`${root}/packages/rfdetr/dist/cli/main.js`), done.build, "built");
  return checks;
}
