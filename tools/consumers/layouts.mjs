// @ts-check
// The ways in which package managers lay packages out: each in an empty project of its own.
import { copyFileSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { compile, compiled, compilerOptions, manifestIn, nameIn, program, run, use, write } from "./project.mjs";

/** @typedef {import("./main.mjs").Place} Place */

const quiet = { ONNXRUNTIME_NODE_INSTALL: "skip" };
const npm = ["install", "--no-audit", "--no-fund", "--loglevel=error", "--onnxruntime-node-install=skip"];

/** Tarballs as dependencies, by the names of their packages. @param {readonly string[]} tarballs */
const dependencies = (tarballs) => Object.fromEntries(tarballs.map((path) => [nameIn(path), `file:${path}`]));

/** The program of a user in an installed project, after set-up. @param {string} folder @param {Place} place */
async function tryOut(folder, { data }) {
  write(folder, {
    "tsconfig.json": { compilerOptions: { ...compilerOptions.nodenext, outDir: "." }, files: ["use.ts"] },
    "use.ts": program("use.ts"),
  });
  await compile(folder);
  await use(folder, "use.js", data);
}

/** @param {Place} place @param {string} name @param {Record<string, unknown>} [manifest] */
function emptyProject({ scratch, tarballs }, name, manifest = {}) {
  const folder = join(scratch, name);
  mkdirSync(folder, { recursive: true });
  const devDependencies = { typescript: "*", "@types/node": "^20" };
  const files = {
    name: "consumer",
    private: true,
    type: "module",
    dependencies: dependencies(tarballs),
    devDependencies,
  };
  write(folder, { "package.json": { ...files, ...manifest } });
  return folder;
}

/** npm, none of whose scripts run. @param {Place} place */
export async function withoutScripts(place) {
  const folder = emptyProject(place, "without scripts");
  await run(folder, "npm", [...npm, "--ignore-scripts"]);
  await run(folder, "npx", ["rfdetr", "setup"]);
  await tryOut(folder, place);
}

/**
 * npm without optional packages, so without the prebuilt addon: the reason is said, and how to compile.
 * @param {Place} place
 */
export async function withoutOptional(place) {
  const platform = `@rfdetr/torch-${process.platform}-${process.arch}`;
  const tarballs = place.tarballs.filter((path) => nameIn(path) !== platform);
  const folder = emptyProject({ ...place, tarballs }, "without optional");
  await run(folder, "npm", [...npm, "--omit=optional"]);
  // A path without a compiler.
  const bin = join(folder, "bin");
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, "node"));
  const env = { PATH: bin, CXX: "" };
  const said = await run(folder, process.execPath, ["node_modules/rfdetr/bin/rfdetr.mjs", "setup"], env).catch(
    (error) => error.message,
  );
  if (!said.includes(`${platform} is not installed`) || !/compiler/.test(said))
    throw new Error(`Expected a sentence about ${platform} and a compiler but received ${said}`);
}

/** A monorepo of npm: the packages lie at its root. @param {Place} place */
export async function workspaces(place) {
  const manifest = { workspaces: ["apps/*"], dependencies: {} };
  const folder = emptyProject(place, "workspaces", manifest);
  const app = join(folder, "apps/detect");
  write(app, { "package.json": { name: "detect", type: "module", dependencies: dependencies(place.tarballs) } });
  await run(folder, "npm", npm);
  await run(app, "npx", ["rfdetr", "setup"]);
  await tryOut(app, place);
}

/** pnpm, where a package sees what it depends on and nothing else. @param {Place} place */
export async function pnpm(place) {
  const overrides = dependencies(place.tarballs);
  const folder = emptyProject(place, "pnpm", { pnpm: { overrides } });
  // Newer versions read settings here.
  const lines = Object.entries(overrides).map(([name, path]) => `  "${name}": ${JSON.stringify(path)}`);
  write(folder, { "pnpm-workspace.yaml": `overrides:\n${lines.join("\n")}\n` });
  await run(folder, place.tool("pnpm"), ["install", "--no-frozen-lockfile"], quiet);
  await run(folder, place.tool("pnpm"), ["exec", "rfdetr", "setup"]);
  await tryOut(folder, place);
}

/**
 * Yarn looks every optional package up: those of other platforms, which need not have been made here, are empty ones.
 * @param {Place} place
 */
function resolutions({ scratch, tarballs }) {
  const own = dependencies(tarballs);
  const torch = tarballs.find((path) => nameIn(path) === "@rfdetr/torch") ?? "";
  const names = Object.keys(manifestIn(torch).optionalDependencies).filter((name) => !(name in own));
  const others = names.map((name) => {
    const folder = join(scratch, "others", name);
    write(folder, { "package.json": { name, version: "0.1.0" } });
    return [name, `file:${folder}`];
  });
  return { ...own, ...Object.fromEntries(others) };
}

/** Yarn 1. @param {Place} place */
export async function yarn1(place) {
  const folder = emptyProject(place, "yarn 1", { resolutions: resolutions(place) });
  await run(
    folder,
    place.tool("yarn"),
    ["install", "--no-lockfile", "--non-interactive", `--cache-folder=${join(place.scratch, "yarn 1 cache")}`],
    quiet,
  );
  await run(folder, place.tool("yarn"), ["run", "rfdetr", "setup"]);
  await tryOut(folder, place);
}

/** Yarn 4, with node_modules or with Plug'n'Play. @param {Place} place @param {"node-modules" | "pnp"} linker */
export async function yarn4(place, linker) {
  const folder = emptyProject(place, `yarn 4 ${linker}`, { resolutions: resolutions(place) });
  const settings = [`nodeLinker: ${linker}`, "enableImmutableInstalls: false", "enableTelemetry: false"];
  write(folder, { ".yarnrc.yml": `${settings.join("\n")}\n`, "yarn.lock": "" });
  const yarn = place.tool("yarn4");
  await run(folder, yarn, ["install"], quiet);
  await run(folder, yarn, ["rfdetr", "setup"]);
  if (linker === "node-modules") return tryOut(folder, place);
  // The compiler of TypeScript 7 does not know Plug'n'Play.
  copyFileSync(join(await compiled(place.project), "use.js"), join(folder, "use.js"));
  await use(folder, "use.js", place.data, { command: [yarn, "node"] });
}
