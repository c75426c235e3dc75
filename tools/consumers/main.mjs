#!/usr/bin/env node
// @ts-check
// The packages as those who install them see them: the tarballs of `npm run pack` in empty projects, where programs are
// type-checked, bundled and run. Only npm's registry is asked.
//
//   node tools/consumers/main.mjs [--tarballs DIR] [--only NAME[,NAME…]] [--keep] [--list]
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { root } from "../check/repository.mjs";
import { bundled, forCompiler, forNode } from "./languages.mjs";
import { pnpm, withoutOptional, withoutScripts, workspaces, yarn1, yarn4 } from "./layouts.mjs";
import { page } from "./pages.mjs";
import { run, tarballsIn, write } from "./project.mjs";
import { bun, deno, node } from "./runtimes.mjs";

/**
 * @typedef {object} Place what all kinds of projects share
 * @property {string} scratch folder of all projects; its name has a space
 * @property {string[]} tarballs of this platform
 * @property {string} project one that npm installed, with onnxruntime beside the packages
 * @property {string} data a small dataset
 * @property {boolean} proved whether onnxruntime-node is installed in the project
 * @property {(name: string) => string} tool path of a package manager
 */

/** Names of older compilers in the project. The first is the oldest that lets CommonJS require ES modules. */
const compilers = { "typescript-5.8": "5.8", "typescript-5.9": "5.9", "typescript-6": "6" };

/** @type {Record<string, (place: Place) => Promise<string | void>>} */
const kinds = {
  esm: (place) => forNode(place, "module"),
  cjs: (place) => forNode(place, "commonjs"),
  bundle: bundled,
  page,
  ...Object.fromEntries(
    Object.keys(compilers).map((name) => [name, (/** @type {Place} */ place) => forCompiler(place, name)]),
  ),
  "without-scripts": withoutScripts,
  "without-optional": withoutOptional,
  workspaces,
  pnpm,
  yarn1,
  "yarn4-node-modules": (place) => yarn4(place, "node-modules"),
  "yarn4-pnp": (place) => yarn4(place, "pnp"),
  "node-20.19": (place) => node(place, "20.19"),
  "node-22": (place) => node(place, "22"),
  "node-24": (place) => node(place, "24"),
  "node-latest": (place) => node(place, "latest"),
  deno,
  bun,
};

const npm = ["install", "--no-audit", "--no-fund", "--loglevel=error", "--onnxruntime-node-install=skip"];

/** @param {string} scratch @param {string[]} tarballs @returns {Promise<Place>} */
async function prepare(scratch, tarballs) {
  const project = join(scratch, "npm");
  write(project, { "package.json": { name: "consumer", private: true } });
  const others = ["typescript", "@types/node@20", "esbuild", "vite", "onnxruntime-node", "onnxruntime-web"];
  const aliases = Object.entries(compilers).map(([name, version]) => `${name}@npm:typescript@${version}`);
  await run(project, "npm", [...npm, ...tarballs, ...others, ...aliases]);
  await run(project, "npx", ["rfdetr", "setup"]);
  await run(project, "npx", ["rfdetr", "data", "synth", "birds", "--images", "8", "--size", "64", "--classes", "2"]);
  const managers = join(scratch, "managers");
  const tool = (/** @type {string} */ name) => {
    const bin = join(managers, name, "node_modules/.bin", name === "yarn4" ? "yarn" : name);
    const spec = { yarn: "yarn@1", yarn4: "@yarnpkg/cli-dist" }[name] ?? name;
    mkdirSync(join(managers, name), { recursive: true });
    write(join(managers, name), { "package.json": { private: true } });
    execFileSync("npm", [...npm, spec], { cwd: join(managers, name), stdio: "ignore" });
    return bin;
  };
  return { scratch, tarballs, project, data: join(project, "birds"), proved: true, tool };
}

const { values } = parseArgs({
  options: {
    tarballs: { type: "string" },
    only: { type: "string" },
    keep: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
  },
});
const names = values.only?.split(",") ?? Object.keys(kinds);
const unknown = names.find((name) => !Object.hasOwn(kinds, name));
if (values.list || unknown !== undefined) {
  if (unknown !== undefined) process.stderr.write(`Expected names of this list but received ${unknown}\n`);
  for (const name of Object.keys(kinds)) console.log(name);
  process.exit(unknown === undefined ? 0 : 2);
}

const scratch = mkdtempSync(join(tmpdir(), "rfdetr consumers "));
/** @param {string} name @param {() => Promise<string | void>} body @returns {Promise<boolean>} */
async function timed(name, body) {
  const begin = performance.now();
  const time = () => `${((performance.now() - begin) / 1000).toFixed(1).padStart(6)} s`;
  try {
    const told = await body();
    console.log(`ok      ${name.padEnd(20)} ${time()}  ${told ?? ""}`.trimEnd());
    return true;
  } catch (error) {
    console.log(`FAILED  ${name.padEnd(20)} ${time()}\n${error instanceof Error ? error.message : error}`);
    return false;
  }
}

try {
  /** @type {Place | undefined} */
  let place;
  const isPrepared = await timed("install with npm", async () => {
    const folder = values.tarballs === undefined ? join(scratch, "tarballs") : resolve(values.tarballs);
    const pack = [join(root, "tools/pack.mjs"), folder, "--platform", `${process.platform}-${process.arch}`];
    if (values.tarballs === undefined) await run(root, process.execPath, pack);
    place = await prepare(scratch, tarballsIn(folder));
  });
  const results = [isPrepared];
  if (place !== undefined)
    for (const name of names) results.push(await timed(name, () => kinds[name](/** @type {Place} */ (place))));
  process.exitCode = results.every(Boolean) ? 0 : 1;
} finally {
  if (values.keep) console.log(scratch);
  else rmSync(scratch, { recursive: true, force: true });
}
