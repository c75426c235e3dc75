#!/usr/bin/env node
// @ts-check
// The `rfdetr` command: sets up what is missing, then hands over.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isReady, root, setupOrExit } from "../../torch/setup/main.mjs";
import { preflight } from "../../torch/setup/preflight.mjs";

const args = process.argv.slice(2);
const command = args.find((arg) => !arg.startsWith("-"));
const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const wantsHelp = args.length === 0 || args.includes("--help") || args.includes("-h") || args.includes("--version") || args.includes("-V");

if (command === "setup" && !wantsHelp) {
  const at = args.indexOf("--libtorch");
  await setupOrExit({ cuda: args.includes("--cuda"), libtorch: at >= 0 ? args[at + 1] : undefined });
  console.error("ready");
} else if (command === "doctor" && !isReady()) {
  const checks = await preflight(root);
  if (args.includes("--json")) console.log(JSON.stringify({ ready: false, checks }, null, 2));
  else {
    console.error("rfdetr is not set up yet:\n");
    for (const { name, ok, found, remedy } of checks)
      console.error(
        `  ${ok ? "ok     " : "MISSING"}  ${name.padEnd(17)} ${found}${remedy === undefined ? "" : `\n           -> ${remedy}`}`,
      );
    console.error("\nnpm run setup does all of it that needs no administrator.");
  }
  process.exitCode = 1;
} else if (wantsHelp && !existsSync(main)) {
  console.log(
    "rfdetr — train, evaluate and run RF-DETR detectors in mixed precision\n\nCommands: train, val, predict, data, bench, doctor, numerics, convert, demo, setup\n\nThe full help is there once the program is built: npm run setup",
  );
} else {
  if (!wantsHelp) await setupOrExit();
  const { main: run } = await import(main);
  process.exitCode = await run(args);
}
