// @ts-check
// Other versions of Node.js, and other runtimes, all from npm, with the packages of one project.
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { compiled, run, use, write } from "./project.mjs";

/** @typedef {import("./main.mjs").Place} Place */

/** A package from npm that has a program, in a folder of its own. @param {Place} place @param {string} spec */
async function fetched({ scratch }, spec) {
  const folder = join(scratch, "runtimes", spec);
  mkdirSync(folder, { recursive: true });
  // The program itself is put into its place by a script of the package.
  write(folder, { "package.json": { private: true, allowScripts: { node: true, deno: true, bun: true } } });
  await run(folder, "npm", ["install", "--no-audit", "--no-fund", "--loglevel=error", spec]);
  return join(folder, "node_modules/.bin", spec.split("@")[0]);
}

/**
 * Ctrl-C during a training: it saves and ends.
 * @param {string} folder @param {string[]} command @param {string} data
 */
async function interrupted(folder, [program, ...args], data) {
  const child = spawn(program, [...args, "stop.js", data, join(folder, `stopped-${Date.now()}`)], { cwd: folder });
  let said = "";
  let isSent = false;
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (text) => {
      said += text;
      if (isSent || !said.includes("step 1")) return;
      isSent = true;
      child.kill("SIGINT");
    });
  const code = await new Promise((resolve) => child.on("close", (code, signal) => resolve(code ?? signal)));
  if (code !== 0 || !/^interrupted$/m.test(said))
    throw new Error(`Expected a training that ends in order after Ctrl-C but received ${code}: ${said}`);
}

/** A version of Node.js. @param {Place} place @param {string} version */
export async function node(place, version) {
  const folder = await compiled(place.project);
  const command = [await fetched(place, `node@${version}`)];
  await use(folder, "use.js", place.data, { command, proved: place.proved });
  await interrupted(folder, command, place.data);
  return (await run(folder, command[0], ["--version"])).trim();
}

/** @param {Place} place */
export async function deno(place) {
  const folder = await compiled(place.project);
  const program = await fetched(place, "deno@latest");
  const command = [program, "run", "--allow-all", "--node-modules-dir=manual"];
  await use(folder, "use.js", place.data, { command, proved: place.proved });
  await interrupted(folder, command, place.data);
  return (await run(folder, program, ["--version"])).split("\n")[0];
}

/** @param {Place} place */
export async function bun(place) {
  const folder = await compiled(place.project);
  const program = await fetched(place, "bun@latest");
  await use(folder, "use.js", place.data, { command: [program], proved: place.proved });
  await interrupted(folder, [program], place.data);
  return `bun ${(await run(folder, program, ["--version"])).trim()}`;
}
