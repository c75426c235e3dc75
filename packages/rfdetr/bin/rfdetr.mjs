#!/usr/bin/env node
// @ts-check
// The `rfdetr` command: sets up what is missing, then hands over.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

// In a checkout nothing has its name yet before `npm install`, which set-up runs itself.
const { isBuilt, isReady, preflight, setupOrExit } = await import("@rfdetr/torch/setup").catch((error) => {
  if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
  return import("../../torch/setup/main.mjs");
});

const args = process.argv.slice(2);
const json = args.includes("--json");
const command = args.find((arg) => !arg.startsWith("-"));
const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const isCheckout = existsSync(new URL("../src", import.meta.url));
/** What a newcomer runs first. */
const demo = "npx rfdetr demo trains a small detector in minutes; npx rfdetr --help lists the commands";
const wantsVersion = args.includes("--version") || args.includes("-V");
const commands =
  "train, val, predict, export, data, bench, profile, doctor, numerics, control, report, dash, convert, settings, demo, demo-page, completion, setup".split(
    ", ",
  );
const wantsHelp =
  wantsVersion ||
  ["-h", "--help"].some((flag) => args.includes(flag)) ||
  command === undefined ||
  [command, args.at(-1)].includes("help") ||
  !commands.includes(command);

/** In an installed package, the variable may name an engine from elsewhere. */
const hasEngine = () => (!isCheckout && Boolean(process.env.RFDETR_ADDON)) || isReady();

/** An exported file runs without libtorch. So does what deals with files alone. */
const isWithoutEngine =
  ["completion", "control", "dash", "data", "demo-page", "report", "settings"].includes(command ?? "") ||
  (["predict", "val"].includes(command ?? "") && args.some((arg) => arg.toLowerCase().endsWith(".onnx")));

async function setUp() {
  const at = args.indexOf("--libtorch");
  await setupOrExit({
    cuda: args.includes("--cuda"),
    libtorch: at >= 0 ? args[at + 1] : undefined,
    noPrebuilt: args.includes("--no-prebuilt"),
    json,
  });
  console.log(json ? JSON.stringify({ ready: true }) : `ready; next: ${demo}`);
}

async function explainWhatIsMissing() {
  const checks = await preflight();
  process.exitCode = 1;
  if (json) {
    console.log(JSON.stringify({ ready: false, checks }, null, 2));
    return;
  }
  const isStale = checks.every(({ ok, stale }) => ok || stale);
  const state = isStale
    ? "is set up, but its sources have changed since then"
    : "is not set up yet (npm install brings the packages alone)";
  console.log(`rfdetr ${state}: this is what is there and what is missing, and nothing is changed.\n`);
  for (const { name, ok, stale, prebuilt, found, remedy } of checks) {
    const mark = ok ? "ok" : stale ? "STALE" : prebuilt ? "WAITING" : "MISSING";
    console.log(`  ${mark.padEnd(7)}  ${name.padEnd(17)} ${found}`);
    if (remedy !== undefined) console.log(`           -> ${remedy}`);
  }
  const way = isCheckout ? "npm run setup" : "npx rfdetr setup";
  if (checks.some(({ remedy }) => remedy?.includes(way)))
    console.log(`\n${way} does all of it that needs no administrator; so does the first command that needs it.`);
}

/** Where the limit of open files is low, not even the program can be read. */
function refuseFewFiles(error) {
  if (error.code !== "EMFILE") throw error;
  const message = "Too many files are open: raise the limit with ulimit -n";
  if (json) console.log(JSON.stringify({ error: { code: "ERR_RUN_DIRECTORY", message } }));
  console.error(`error: ${message}`);
  process.exit(1);
}

async function handOver() {
  const { main: run } = await import(main).catch(refuseFewFiles);
  process.exitCode = await run(args);
  setTimeout(leave, 1000).unref();
}

/** Ends the process if it did not end by itself: modules of the user's have timers and connections. */
function leave() {
  const isWriting = process.stdout.writableLength + process.stderr.writableLength > 0;
  if (isWriting) setTimeout(leave, 1000).unref();
  else process.exit();
}

/** What can be said before the program is built. */
function help() {
  const word = args.find((arg) => arg !== "help" && !arg.startsWith("-"));
  if (word !== undefined && !commands.includes(word)) {
    const message = `Expected one of ${commands.join(", ")} for the command but received ${JSON.stringify(word)}`;
    if (json) console.log(JSON.stringify({ error: { code: "ERR_USAGE", message } }));
    console.error(`error: ${message}`);
    process.exitCode = 2;
  } else if (wantsVersion) {
    console.log(JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version);
  } else
    console.log(`Usage: rfdetr [options] [command]

Train, evaluate and run RF-DETR detectors, in mixed precision by default

Commands: ${commands.join(", ")}

The help of each command is there once the program is built: npm run setup`);
}

if (wantsHelp)
  await handOver().catch((error) => {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    help();
  });
else if (command === "setup") await setUp();
else if (command === "doctor" && !hasEngine()) await explainWhatIsMissing();
else {
  if (!(isWithoutEngine && isBuilt()) && !hasEngine()) await setupOrExit({ json });
  await handOver();
}
