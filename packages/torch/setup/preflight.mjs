// What `rfdetr doctor` says before anything is set up: what is there, what is missing, what to do.
import { existsSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { findCompiler, nodeHeaders } from "./addon.mjs";
import { cacheFolder, pythonWithPip, resolveEngine } from "./engine.mjs";

/** @param {string} root @returns {Promise<{name: string, ok: boolean, found: string, remedy?: string}[]>} */
export async function preflight(root) {
  const checks = [];
  const add = (name, ok, found, remedy) => checks.push({ name, ok, found, ...(ok ? {} : { remedy }) });
  const [major, minor] = process.versions.node.split(".").map(Number);
  add("Node.js", major > 20 || (major === 20 && minor >= 19), process.versions.node, "install Node.js 20.19 or newer");
  const packages = existsSync(`${root}/node_modules/typescript`);
  add("npm packages", packages, packages ? "installed" : "not installed", "run npm run setup");
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
  const addon = existsSync(`${root}/packages/torch/build/torch.node`);
  add("addon", addon, addon ? "built" : "not built", "run npm run setup");
  const build = existsSync(`${root}/packages/rfdetr/dist/cli/main.js`);
  add("TypeScript build", build, build ? "built" : "not built", "run npm run setup");
  return checks;
}
