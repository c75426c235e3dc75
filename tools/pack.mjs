#!/usr/bin/env node
// @ts-check
// Makes the tarballs of all packages, that of this platform's prebuilt addon among them:
//
//   npm run pack -- DIR
//
// `npm install DIR/*.tgz` in an empty folder installs them. The package of the platform is an optional dependency of
// @rfdetr/torch in its tarball only: a checkout compiles its addon.
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { setupOrExit } from "../packages/torch/setup/main.mjs";
import { makePrebuilt, platformPackage } from "../packages/torch/setup/prebuilt.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const [target] = process.argv.slice(2);
if (target === undefined || target.startsWith("-")) {
  process.stderr.write("Expected the folder for the tarballs: npm run pack -- DIR\n");
  process.exit(2);
}
/** Platforms for which a package of the addon is published. */
const platforms = ["linux-x64", "linux-arm64", "darwin-arm64"];
const readJson = (/** @type {string} */ path) => JSON.parse(readFileSync(path, "utf8"));
const writeJson = (/** @type {string} */ path, /** @type {unknown} */ value) =>
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);

await setupOrExit();
const out = resolve(target);
mkdirSync(out, { recursive: true });
const stage = mkdtempSync(join(tmpdir(), "rfdetr-pack-"));
try {
  const { version, license } = readJson(join(root, "packages/torch/package.json"));
  const tarballs = [
    await packPlatform(version, license),
    packTorch(version),
    pack("packages/amp"),
    pack("packages/rfdetr"),
  ];
  for (const tarball of tarballs) {
    const size = statSync(join(out, tarball)).size;
    process.stdout.write(`${join(target, tarball)}  ${(size / 2 ** 20).toFixed(2)} MiB\n`);
  }
  process.stdout.write(`\nnpm install ${tarballs.map((tarball) => join(target, tarball)).join(" ")}\n`);
} finally {
  rmSync(stage, { recursive: true });
}

/** @param {string} folder @returns {string} name of the tarball */
function pack(folder) {
  const args = ["pack", "--json", "--loglevel=error", "--pack-destination", out];
  const [{ filename }] = JSON.parse(execFileSync("npm", args, { cwd: resolve(root, folder), encoding: "utf8" }));
  return filename;
}

/** The addon of this platform. @param {string} version @param {string} license */
async function packPlatform(version, license) {
  const folder = join(stage, "platform");
  mkdirSync(folder);
  await makePrebuilt(folder);
  for (const file of ["LICENSE"]) copyFileSync(join(root, file), join(folder, file));
  writeJson(join(folder, "package.json"), {
    name: platformPackage,
    version,
    license,
    description: `The compiled addon of @rfdetr/torch for ${process.platform} on ${process.arch}`,
    os: [process.platform],
    cpu: [process.arch],
    ...(process.platform === "linux" ? { libc: ["glibc"] } : {}),
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
  const optionalDependencies = Object.fromEntries(platforms.map((name) => [`@rfdetr/torch-${name}`, version]));
  writeJson(join(folder, "package.json"), { ...own, optionalDependencies });
  return pack(folder);
}
