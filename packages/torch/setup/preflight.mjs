// What `rfdetr doctor` says before anything is set up: what is there, what is missing, what to do.
import { existsSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { findCompiler, nodeHeaders } from "./addon.mjs";
import { cacheFolder, resolveEngine } from "./engine.mjs";
import { pythonWithPip } from "./python.mjs";

/**
 * @param {string} root
 * @param {{npm: boolean, addon: boolean, build: boolean}} done the steps that fit the sources as they are now
 * @returns {Promise<{name: string, ok: boolean, stale?: boolean, found: string, remedy?: string}[]>} `stale` marks what
 * is there, but of other sources
 */
export async function look(root, done) {
  const checks = [];
  const add = (name, ok, found, remedy) => checks.push({ name, ok, found, ...(ok ? {} : { remedy }) });
  const [major, minor] = process.versions.node.split(".").map(Number);
  add("Node.js", major > 20 || (major === 20 && minor >= 19), process.versions.node, "install Node.js 20.19 or newer");
  /** What a step of set-up makes. */
  const product = (name, there, fits, made) => {
    const stale = there && !fits;
    const found = stale ? `${made} before the last change of what it is made from` : there ? made : `not ${made}`;
    add(name, there && fits, found, "run npm run setup");
    if (stale) checks[checks.length - 1].stale = true;
  };
  product("npm packages", existsSync(`${root}/node_modules/typescript`), done.npm, "installed");
  const compiler = findCompiler();
  add(
    "C++ compiler",
    compiler !== null,
    compiler ?? "none of CXX, g++, clang++, c++",
    "install one (Debian: apt-get install g++), or name one in CXX",
  );
  const headers = nodeHeaders(root);
  add(
    "Node-API headers",
    headers !== null,
    headers ?? "none",
    "run npm run setup, or use a Node.js installed with its headers",
  );
  try {
    const engine = await resolveEngine({ fetch: false });
    add("libtorch", true, `${engine.version} (${engine.source}) in ${engine.root}`);
  } catch {
    const python = pythonWithPip();
    add(
      "libtorch",
      false,
      "not there yet",
      python === null
        ? "install Python 3 with pip so that it can be downloaded, or set LIBTORCH to a libtorch folder"
        : "run npm run setup, which downloads it (540 MB)",
    );
    add(
      "Python with pip",
      python !== null,
      python ?? "none",
      "install Python 3 with pip (Debian: apt-get install python3-pip), or name one in PYTHON",
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
  product("addon", existsSync(`${root}/packages/torch/build/torch.node`), done.addon, "built");
  product("TypeScript build", existsSync(`${root}/packages/rfdetr/dist/cli/main.js`), done.build, "built");
  return checks;
}
