#!/usr/bin/env node
// @ts-check
// Makes the tarballs of all packages, those of prebuilt addons among them: of this platform, and of those that this one
// has a cross compiler for. `--platform NAME`, which may be repeated, names the platforms.
//
//   npm run pack -- DIR
//
// The last lines that it prints install them in an empty folder, and fetch libtorch there. The packages of platforms
// are optional dependencies of @rfdetr/torch in its tarball only: a checkout compiles its addon.
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findCompiler } from "../packages/torch/setup/compile.mjs";
import { platformHere } from "../packages/torch/setup/machine.mjs";
import { setupOrExit } from "../packages/torch/setup/main.mjs";
import { makePrebuilt, packageOf } from "../packages/torch/setup/prebuilt.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Platforms for which a package of the addon is published. */
const platforms = ["linux-x64", "linux-arm64", "darwin-arm64"];
const { target, wanted } = readArguments();
const readJson = (/** @type {string} */ path) => JSON.parse(readFileSync(path, "utf8"));
const writeJson = (/** @type {string} */ path, /** @type {unknown} */ value) =>
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);

await setupOrExit();
const out = resolve(target);
mkdirSync(out, { recursive: true });
const stage = mkdtempSync(join(tmpdir(), "rfdetr-pack-"));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
process.once("exit", () => rmSync(stage, { recursive: true, force: true }));
const { version, license } = readJson(join(root, "packages/torch/package.json"));
const tarballs = [];
for (const platform of wanted) tarballs.push(await packPlatform(platform, version, license));
tarballs.push(packTorch(version), pack("packages/amp"), pack("packages/rfdetr"));
for (const tarball of tarballs) {
  const size = statSync(join(out, tarball)).size;
  process.stdout.write(`${join(target, tarball)}  ${(size / 2 ** 20).toFixed(2)} MiB\n`);
}
// npm takes a relative path for a repository of GitHub, and refuses a package that is for another platform.
const others = wanted
  .filter((name) => name !== platformHere)
  .map((name) => `${packageOf(name)}-`.replace("@rfdetr/", ""));
const installed = tarballs.filter((name) => !others.some((other) => name.includes(other)));
process.stdout.write(`\nnpm install ${installed.map((name) => join(out, name)).join(" ")}\n`);
process.stdout.write("npx rfdetr setup    # libtorch (0.5 GB, once), before a program of your own\n");

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { platform: { type: "string", multiple: true } },
  });
  const [target] = positionals;
  const unknown = values.platform?.find((name) => !platforms.includes(name));
  if (target === undefined || unknown !== undefined) {
    const fault = unknown === undefined ? "" : `, of the platforms ${platforms.join(", ")}, not ${unknown}`;
    process.stderr.write(`Expected the folder for the tarballs: npm run pack -- DIR [--platform NAME]${fault}\n`);
    process.exit(2);
  }
  const wanted = values.platform ?? platforms.filter((name) => name === platformHere || findCompiler(name) !== null);
  for (const name of platforms.filter((each) => !wanted.includes(each)))
    process.stderr.write(`left out: ${packageOf(name)}${values.platform ? "" : ", for which no compiler is here"}\n`);
  return { target, wanted };
}

/** @param {string} folder @returns {string} name of the tarball */
function pack(folder) {
  const args = ["pack", "--json", "--loglevel=error", "--pack-destination", out];
  const [{ filename }] = JSON.parse(execFileSync("npm", args, { cwd: resolve(root, folder), encoding: "utf8" }));
  return filename;
}

/** The addon of a platform. @param {string} platform @param {string} version @param {string} license */
async function packPlatform(platform, version, license) {
  const folder = join(stage, platform);
  const [os, cpu] = platform.split("-");
  mkdirSync(folder);
  await makePrebuilt(folder, platform);
  copyFileSync(join(root, "LICENSE"), join(folder, "LICENSE"));
  writeJson(join(folder, "package.json"), {
    name: packageOf(platform),
    version,
    license,
    description: `The compiled addon of @rfdetr/torch for ${os} on ${cpu}`,
    os: [os],
    cpu: [cpu],
    ...(os === "linux" ? { libc: ["glibc"] } : {}),
    files: ["torch.node", "manifest.json"],
    exports: { "./manifest.json": "./manifest.json", "./package.json": "./package.json" },
  });
  return pack(folder);
}

/** @rfdetr/torch with the packages of its platforms as optional dependencies. @param {string} version */
function packTorch(version) {
  const folder = join(stage, "torch");
  const own = readJson(join(root, "packages/torch/package.json"));
  cpSync(join(root, "packages/torch"), folder, {
    recursive: true,
    filter: (path) => !/\/(build|node_modules|prebuilds|test)$/.test(path),
  });
  const optionalDependencies = Object.fromEntries(platforms.map((name) => [packageOf(name), version]));
  writeJson(join(folder, "package.json"), { ...own, optionalDependencies });
  return pack(folder);
}
