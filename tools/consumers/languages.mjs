// @ts-check
// Programs of users in each language and module system that the packages are for. All of them lie in one project.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { compile, compilerOptions, failure, importsOfAll, program, run, use, write } from "./project.mjs";

/** @typedef {import("./main.mjs").Place} Place */

/** In browsers, and without Node's types. */
const isOfPages = (/** @type {string} */ name) => name === "rfdetr/browser";

/**
 * TypeScript for Node, as a module or CommonJS: every public module, the options of the documents, and a program.
 * @param {Place} place @param {"module" | "commonjs"} type @param {boolean} [quick] without an evaluation and an export
 */
export async function forNode({ project, data, proved }, type, quick = false) {
  const folder = join(project, type);
  const files = ["all.ts", "use.ts", "types.mts"];
  write(folder, {
    "package.json": { type },
    "tsconfig.json": { compilerOptions: { ...compilerOptions.nodenext, outDir: "." }, files },
    "all.ts": importsOfAll(project, (name) => !isOfPages(name)),
    "use.ts": program("use.ts"),
    "types.mts": program("types.ts"),
  });
  await compile(folder);
  await run(folder, process.execPath, ["all.js"]);
  const isRequired = readFileSync(join(folder, "use.js"), "utf8").includes('require("rfdetr")');
  if (isRequired !== (type === "commonjs")) throw new Error(`Expected ${type} but the compiler wrote another kind`);
  await use(folder, "use.js", data, { proved, quick });
}

/** Types as older compilers see them. @param {Place} place @param {string} typescript name in node_modules */
export async function forCompiler({ project }, typescript) {
  const folder = join(project, typescript);
  const options = { ...compilerOptions.nodenext, noEmit: true };
  write(folder, {
    "package.json": { type: "module" },
    "tsconfig.json": { compilerOptions: options, files: ["all.ts", "use.ts", "types.ts"] },
    "all.ts": importsOfAll(project, (name) => !isOfPages(name)),
    "use.ts": program("use.ts"),
    "types.ts": program("types.ts"),
  });
  await compile(folder, typescript);
}

const makeRequire = 'import { createRequire as from } from "node:module"; const require = from(import.meta.url);';
/** CommonJS packages that are bundled into a module call `require`. @param {string} format */
const requireInModules = (format) => `--banner:js=${format === "esm" ? makeRequire : ""}`;

/**
 * TypeScript for a bundler, and a bundle for Node in which the packages stay outside.
 * @param {Place} place
 */
export async function bundled({ project, data, proved }) {
  const folder = join(project, "bundled");
  write(folder, {
    "package.json": { type: "module" },
    "tsconfig.json": { compilerOptions: compilerOptions.bundler, files: ["all.ts", "use.ts", "types.ts"] },
    "all.ts": importsOfAll(project, (name) => !isOfPages(name)),
    "use.ts": program("use.ts"),
    "types.ts": program("types.ts"),
  });
  await compile(folder);
  const esbuild = join(project, "node_modules/.bin/esbuild");
  const external = ["--external:rfdetr", "--external:@rfdetr/*"];
  for (const [format, out] of [
    ["esm", "use.mjs"],
    ["cjs", "use.cjs"],
  ]) {
    const bundle = ["use.ts", "--bundle", "--platform=node", `--format=${format}`, `--outfile=${out}`];
    await run(folder, esbuild, [...bundle, ...external, "--log-level=error"]);
    await use(folder, out, data, { proved });
    // The packages have files beside their code, so a bundle of all cannot work: one sentence says so.
    // Those have addons too.
    const whole = ["--external:onnxruntime-*", "--external:sharp", requireInModules(format)];
    await run(folder, esbuild, [...bundle, ...whole, "--log-level=error"]);
    const said = await failure(folder, process.execPath, [out, data, "."]);
    if (!/Keep rfdetr, @rfdetr\/amp and @rfdetr\/torch external/.test(said))
      throw new Error(`Expected a hint that the packages must stay external of ${out} but received ${said}`);
  }
}
