#!/usr/bin/env node
// @ts-check
// Takes the pictures of the live page in docs/images, in Chromium (apt install chromium):
//
//   npm run build && node tools/images/dash.mjs [--runs DIR]
//
// Without --runs it trains first, in a few minutes: one run that learns, and one whose overflow is foreseen
// (tools/planted-overflow.mjs). A folder that is given must hold runs of the names `learned` and `foreseen`.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startDash } from "rfdetr/dash";
import { startChromium } from "../../packages/rfdetr/dist/testing/pages/chromium.js";
import { root } from "../check/repository.mjs";
import { quickSettings, savePicture } from "./shared.mjs";

/** What is learned quickly from random weights, watched often. */
const settings = { ...quickSettings, monitor_interval: 10 };

/**
 * @typedef {{
 *   name: string, run: string, part: string, ready: string, width: number, height: number
 * }} Picture
 */

/** @type {Picture[]} */
const pictures = [
  {
    name: "dash-microscope",
    run: "foreseen",
    part: "Numerics",
    ready: ".makers img",
    width: 1440,
    height: 1000,
  },
  { name: "dash-curves", run: "learned", part: "Curves", ready: ".uplot", width: 1440, height: 860 },
  {
    name: "dash-pictures",
    run: "learned",
    part: "Pictures",
    ready: ".image img",
    width: 1000,
    height: 640,
  },
];

/** @param {string} folder */
function train(folder) {
  const command = join(root, "packages/rfdetr/bin/rfdetr.mjs");
  const rfdetr = (/** @type {string} */ words) =>
    execFileSync(command, words.split(" "), { cwd: folder, stdio: "inherit" });
  writeFileSync(join(folder, "settings.json"), JSON.stringify(settings));
  rfdetr("data synth data/emoji --images 240 --size 96 --classes 3 --seed 1");
  const flags = "--model tiny --config settings.json --epochs 16 --precision 16-mixed --seed 3";
  rfdetr(`train --data data/emoji --out runs/learned ${flags}`);
  execFileSync(process.execPath, [
    join(root, "tools/planted-overflow.mjs"),
    "--out",
    join(folder, "runs/foreseen"),
    "--steps",
    "20",
  ]);
  return join(folder, "runs");
}

/** @param {import("playwright-core").Browser} browser @param {string} url @param {Picture} picture */
async function take(browser, url, { name, run, part, ready, width, height }) {
  const page = await browser.newPage({ viewport: { width, height } });
  await page.goto(url);
  await page.getByRole("link", { name: run, exact: true }).click();
  await page.getByRole("tab", { name: part }).click();
  await page.locator(ready).first().waitFor();
  await page.waitForTimeout(500);
  await savePicture(await page.screenshot(), name);
  await page.close();
}

const { values } = parseArgs({ options: { runs: { type: "string" } } });
const folder = mkdtempSync(join(tmpdir(), "dash-images-"));
const dash = await startDash({ folder: values.runs ?? train(folder), port: 0 });
const browser = await startChromium();
try {
  for (const picture of pictures) await take(browser, dash.url, picture);
} finally {
  await browser.close();
  await dash.close();
  rmSync(folder, { recursive: true });
}
