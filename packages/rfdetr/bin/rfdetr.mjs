#!/usr/bin/env node
// @ts-check
// The `rfdetr` command: sets up what is missing, then hands over.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

// In a checkout nothing has its name yet before `npm install`, which set-up runs itself.
const { isReady, preflight, root, setupOrExit } = await import("@rfdetr/torch/setup").catch((error) => {
  if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
  return import("../../torch/setup/main.mjs");
});

const args = process.argv.slice(2);
const command = args.find((arg) => !arg.startsWith("-"));
const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const isCheckout = existsSync(new URL("../src", import.meta.url));
const wantsHelp = args.length === 0 || ["--help", "-h", "--version", "-V"].some((flag) => args.includes(flag));

async function setUp() {
  const at = args.indexOf("--libtorch");
  await setupOrExit({ cuda: args.includes("--cuda"), libtorch: at >= 0 ? args[at + 1] : undefined });
  console.error("ready");
}

async function explainWhatIsMissing() {
  const checks = await preflight(root);
  process.exitCode = 1;
  if (args.includes("--json")) {
    console.log(JSON.stringify({ ready: false, checks }, null, 2));
    return;
  }
  console.error("rfdetr is not set up yet:\n");
  for (const { name, ok, found, remedy } of checks) {
    console.error(`  ${ok ? "ok     " : "MISSING"}  ${name.padEnd(17)} ${found}`);
    if (remedy !== undefined) console.error(`           -> ${remedy}`);
  }
  console.error("\nnpm run setup does all of it that needs no administrator.");
}

async function handOver() {
  const { main: run } = await import(main);
  process.exitCode = await run(args);
}

if (wantsHelp && existsSync(main)) await handOver();
else if (wantsHelp)
  console.log(`rfdetr — train, evaluate and run RF-DETR detectors in mixed precision

Commands: train, val, predict, data, bench, profile, doctor, numerics, convert, demo, setup

The full help is there once the program is built: npm run setup`);
else if (!isCheckout) {
  if (command === "setup") {
    console.error(
      "Expected a checkout of the repository for setup but this is an installed package: " +
        "run npm run setup in a checkout, and name its packages/torch/build/torch.node in the variable RFDETR_ADDON",
    );
    process.exitCode = 1;
  } else await handOver();
} else if (command === "setup") await setUp();
else if (command === "doctor" && !isReady()) await explainWhatIsMissing();
else {
  await setupOrExit();
  await handOver();
}
