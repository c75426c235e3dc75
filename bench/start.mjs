#!/usr/bin/env node
// @ts-check
// From the start of the process to the first training step of Nano, batch 2, 384 px, on a small dataset that is made
// for it. Three processes, one after the other.
//
//   node bench/start.mjs
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = process.argv[2];
if (folder === undefined) {
  const made = mkdtempSync(join(tmpdir(), "rfdetr-start-"));
  const command = fileURLToPath(new URL("../packages/rfdetr/bin/rfdetr.mjs", import.meta.url));
  try {
    execFileSync(
      process.execPath,
      [command, "data", "synth", join(made, "data"), "--images", "24", "--size", "640", "--plain"],
      {
        stdio: "ignore",
      },
    );
    for (let i = 0; i < 3; i++)
      execFileSync(process.execPath, [fileURLToPath(import.meta.url), made], { stdio: "inherit" });
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
} else {
  const { RFDETR } = await import("rfdetr");
  const detector = await RFDETR.create("nano", { weights: "none" });
  const outputDir = join(folder, `run-${process.pid}`);
  const run = detector.train({
    data: join(folder, "data"),
    epochs: 1,
    batchSize: 2,
    maxSteps: 1,
    multiScale: "off",
    outputDir,
  });
  const since = () => (Date.now() - performance.timeOrigin) / 1000;
  let done = 0;
  for await (const event of run) if (event.type === "step") done = since();
  const step = readFileSync(join(outputDir, "numerics.jsonl"), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line))
    .find((record) => record.kind === "step");
  console.log(`first step begins after ${(done - step.seconds).toFixed(2)} s and takes ${step.seconds.toFixed(2)} s`);
}
