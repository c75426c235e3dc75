#!/usr/bin/env node
// @ts-check
// Runs the code blocks of the documents, in this one process:
//
//   npm run build && node tools/blocks/run.mjs                  of all documents
//   npm run build && node tools/blocks/run.mjs docs/export.md   of these
//
// A shell block runs in bash, in a folder with what scratch.mjs puts there, with stand-ins.mjs for what is large. Its
// `npx rfdetr` hands its words to this process, which has libtorch loaded already. A program is compiled, then
// imported. With --json the last line is the report for a test.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { main } from "../../packages/rfdetr/dist/cli/main.js";
import { root } from "../check/repository.mjs";
import { compile } from "./compile.mjs";
import { blocksOf, documents, fileOf, isScript, isShell } from "./read.mjs";
import { lay, makeRoom, makeTemplate, namesGiven } from "./scratch.mjs";
import { codeToRun, wordsToRun } from "./stand-ins.mjs";

/** @typedef {import("./read.mjs").Block} Block */

process.setMaxListeners(0);
// Nothing is downloaded.
process.env.RFDETR_WEIGHTS_URL = "http://127.0.0.1:9";
// Where programs find the packages.
mkdirSync(join(root, "node_modules/.cache"), { recursive: true });
const scratch = mkdtempSync(join(root, "node_modules/.cache/scratch-"));
const tools = join(scratch, "tools");

/** What `npx rfdetr` is inside of a block: bash alone, since a Node for each would take half a second. */
const npx = `#!/bin/bash
[ "$1" = rfdetr ] || { echo "not in this folder: npx $*" >&2; exit 127; }
shift
exec 3<>/dev/tcp/127.0.0.1/$BLOCKS_PORT
printf '%s\\0' "$(($# + 1))" "$PWD" "$@" >&3
IFS= read -r -d '' code <&3
IFS= read -r -d '' errors <&3
printf '%s' "$errors" >&2
cat <&3
exit "$code"
`;

/** What is installed in this checkout need not be fetched. */
const npm = `#!/bin/sh
[ "$1" = install ] || { echo "not run here: npm $*" >&2; exit 127; }
shift
for name; do [ -d "${root}/node_modules/$name" ] || { echo "not installed here: $name" >&2; exit 127; }; done
`;

/**
 * What is written to a stream meanwhile.
 * @template T
 * @param {NodeJS.WriteStream[]} streams
 * @param {() => Promise<T>} body
 * @returns {Promise<{result: T, texts: string[]}>}
 */
async function captured(streams, body) {
  const texts = streams.map(() => "");
  const writers = streams.map(({ write }) => write);
  for (const [i, stream] of streams.entries())
    stream.write = (/** @type {any} */ chunk) => {
      texts[i] += chunk;
      // A server runs until it is told to end.
      if (/^http:\/\/127\.0\.0\.1/m.test(String(chunk))) setTimeout(() => process.emit("SIGINT"), 100);
      return true;
    };
  try {
    return { result: await body(), texts };
  } finally {
    for (const [i, stream] of streams.entries()) stream.write = writers[i];
  }
}

let given = namesGiven();

/** @param {string} folder @param {string[]} words @returns {Promise<{code: number, out: string, errors: string}>} */
async function rfdetr(folder, words) {
  process.chdir(folder);
  const run = wordsToRun(words, (name) => given.has(name) || !existsSync(join(folder, name)));
  makeRoom(folder, given, run);
  const { result, texts } = await captured([process.stdout, process.stderr], () => main(run));
  // What a command does about faults ends this process.
  for (const event of ["uncaughtException", "unhandledRejection"]) process.removeAllListeners(event);
  return { code: result, out: texts[0], errors: texts[1] };
}

/** Answers the `npx` of blocks. */
const server = createServer((socket) => {
  let received = "";
  socket.setEncoding("utf8").on("data", async (text) => {
    received += text;
    const [count, folder, ...words] = received.split("\0").slice(0, -1);
    if (words.length + 1 < Number(count)) return;
    const { code, out, errors } = await rfdetr(folder, words);
    socket.end(`${code}\0${errors}\0${out}`);
  });
});

/** @param {string} code @param {string} folder @returns {Promise<string | null>} what went wrong */
async function runShell(code, folder) {
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  const env = { PATH: `${tools}:/usr/bin:/bin`, HOME: folder, BLOCKS_PORT: String(port) };
  const bash = spawn("bash", ["-eu", "-o", "pipefail", "-c", code], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [bash.stdout, bash.stderr]) stream.on("data", (data) => (said += data));
  const status = await new Promise((resolve) => bash.on("close", resolve));
  return status === 0 ? null : `exit code ${status}: ${said.slice(-1500)}`;
}

/**
 * @param {string} compiled @param {string} name of the file in the folder @param {string} folder
 * @returns {Promise<string | null>} what went wrong
 */
async function runScript(compiled, name, folder) {
  process.chdir(folder);
  const file = join(folder, name);
  writeFileSync(file, codeToRun(readFileSync(compiled, "utf8")));
  try {
    await captured([process.stdout, process.stderr], () => import(pathToFileURL(file).href));
    return null;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

const nameOf = (/** @type {Block} */ { path, line }) => `${path.replace(/\W/g, "-")}-${line}`;

/** @param {Block[]} blocks of one document @param {string} compiled folder of the programs @param {string} folder */
async function runDocument(blocks, compiled, folder) {
  /** @type {string[]} */
  const failed = [];
  for (const block of blocks) {
    const begin = performance.now();
    const file = fileOf(block);
    if (file !== null && !isScript(block)) writeFileSync(join(folder, file), block.code);
    if (!isShell(block) && !isScript(block)) continue;
    const name = nameOf(block);
    const wrong = isShell(block)
      ? await runShell(block.code, folder)
      : await runScript(join(compiled, `${name}.js`), file ?? `${name}.mjs`, folder);
    const seconds = ((performance.now() - begin) / 1000).toFixed(1).padStart(5);
    const place = `${block.path}:${block.line}`;
    console.log(`${wrong === null ? "ok    " : "FAILED"} ${seconds} s ${place}`);
    if (wrong !== null) failed.push(`${place}: ${wrong}`);
  }
  return failed;
}

const asked = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const found = documents().filter(({ path }) => asked.length === 0 || asked.includes(path));
const pages = found.map(blocksOf);
const blocks = pages.flat();
const programs = blocks.filter((block) => isScript(block) && block.held?.kind !== "not run");
const { errors, folder: compiled } = compile(
  "blocks",
  programs.map((block) => ({ name: nameOf(block), code: `${block.code}\nexport {};\n` })),
);
for (const error of errors) console.log(error);

mkdirSync(tools);
const absent = `#!/bin/sh\necho "not run here: $0 $*" >&2\nexit 127\n`;
for (const name of ["npx", "npm", "git", "sudo", "torchrun", "python3", "docker"])
  writeFileSync(join(tools, name), { npx, npm }[name] ?? absent, { mode: 0o755 });
await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
const failed = [];
try {
  const template = join(scratch, "template");
  await makeTemplate(template, async (words) => {
    process.chdir(template);
    const { result, texts } = await captured([process.stdout, process.stderr], () => main(words));
    if (result !== 0) throw new Error(`${words.join(" ")}: ${texts.join("")}`);
  });
  for (const [i, page] of pages.entries()) {
    const toRun = page.filter(
      (block) => block.held === null && (isShell(block) || isScript(block) || fileOf(block) !== null),
    );
    if (toRun.length === 0) continue;
    const folder = join(scratch, String(i));
    lay(template, folder);
    given = namesGiven();
    failed.push(...(await runDocument(toRun, compiled, folder)));
  }
} finally {
  server.close();
  process.chdir(root);
  rmSync(scratch, { recursive: true, force: true });
}

const held = blocks
  .filter((block) => block.held !== null)
  .map(({ path, held }) => `${path}: ${held?.kind}: ${held?.reason}`);
const unnamed = blocks.filter(({ language }) => language === "").map(({ path, line }) => `${path}:${line}`);
for (const line of held) console.log(`held   ${line}`);
for (const line of [...failed, ...unnamed.map((place) => `${place}: a block without a language`)]) console.log(line);
if (process.argv.includes("--json")) console.log(JSON.stringify({ errors, failed, held, unnamed }));
// Detectors that a program left open keep their threads.
process.exit(errors.length + failed.length + unnamed.length > 0 ? 1 : 0);
