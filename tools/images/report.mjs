#!/usr/bin/env node
// @ts-check
// Takes the pictures of reports that the documents show, with a Chromium of the system:
//
//   npm run build && node tools/images/report.mjs                        trains four small runs first, some minutes
//   node tools/images/report.mjs --run RUN --other RUN… --planted RUN    of runs that are there
//
// They are docs/images/report-{overview,numerics,phone,comparison}.png.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { writeReport } from "rfdetr/report";
import { startChromium } from "../../packages/rfdetr/dist/testing/pages/chromium.js";
import { isMain, root } from "../check/repository.mjs";
import { quickSettings, savePicture } from "./shared.mjs";

/** What is learned quickly from random weights, watched often. */
const settings = { ...quickSettings, monitor_interval: 10 };

/**
 * A picture: of which report, in which window, from where to where on the page.
 * @typedef {{ name: string, report: "run" | "planted" | "comparison", width: number, height: number, dark?: boolean, from?: string }} Shot
 */

/** @type {Shot[]} */
const shots = [
  { name: "overview", report: "run", width: 1100, height: 1360 },
  { name: "numerics", report: "planted", width: 1100, height: 1100, from: "#headroom-of-every-module" },
  { name: "phone", report: "run", width: 390, height: 844, dark: true },
  { name: "comparison", report: "comparison", width: 1100, height: 1000, dark: true },
];

/**
 * The folders of the runs, trained where they are not given.
 * @param {{ run?: string, other?: string[], planted?: string }} given
 * @param {string} folder
 */
function runsIn(folder, given) {
  const command = join(root, "packages/rfdetr/bin/rfdetr.mjs");
  const rfdetr = (/** @type {string[]} */ ...words) =>
    execFileSync(process.execPath, [command, ...words], { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  if (given.run === undefined || given.other === undefined) {
    rfdetr("data", "synth", "emoji", "--images", "240", "--size", "96", "--classes", "3", "--seed", "1");
    writeFileSync(join(folder, "quick.json"), JSON.stringify(settings));
  }
  const trained = (/** @type {string} */ precision, /** @type {number} */ seed) => {
    const out = join(folder, `emoji-${precision}-${seed}`);
    const what = ["--data", "emoji", "--model", "tiny", "--config", "quick.json", "--epochs", "10"];
    rfdetr("train", ...what, "--precision", precision, "--seed", String(seed), "--out", out);
    return out;
  };
  const plant = () => {
    const out = join(folder, "planted");
    execFileSync(process.execPath, [join(root, "tools/planted-overflow.mjs"), "--out", out], { stdio: "ignore" });
    return out;
  };
  return {
    run: given.run ?? trained("16-mixed", 3),
    // Two seeds of each: one tells nothing of a precision.
    others: given.other ?? [trained("16-mixed", 4), trained("32-true", 3), trained("32-true", 4)],
    planted: given.planted ?? plant(),
  };
}

/**
 * @param {import("playwright-core").Browser} browser
 * @param {Shot} shot
 * @param {string} file
 * @param {string[]} places folders of this machine, which say nothing to a reader
 */
async function picture(browser, { width, height, dark = false, from }, file, places) {
  const colorScheme = dark ? "dark" : "light";
  const page = await browser.newPage({
    viewport: { width, height },
    colorScheme,
    deviceScaleFactor: width < 600 ? 2 : 1,
  });
  await page.goto(pathToFileURL(file).href);
  // The groups that lead to the module with the least headroom, and the module itself.
  await page.evaluate(`
    const badges = [...document.querySelectorAll(".tree .badge")];
    const worst = ["over", "tight", "near"].map((kind) => badges.filter((badge) => badge.classList.contains(kind)).at(-1));
    let at = worst.find((badge) => badge !== undefined)?.closest("details");
    for (; at; at = at.parentElement.closest("details")) at.open = true;
    for (const path of document.querySelectorAll("dd .path"))
      for (const place of ${JSON.stringify(places)})
        if (path.textContent.startsWith(place)) path.textContent = path.textContent.slice(place.length + 1);
  `);
  const top =
    from === undefined ? 0 : await page.evaluate(`document.querySelector("${from}").getBoundingClientRect().top`);
  const clip = { x: 0, y: Number(top), width, height };
  const png = await page.screenshot({ fullPage: true, clip });
  await page.close();
  return png;
}

async function main() {
  const { values } = parseArgs({
    options: { run: { type: "string" }, other: { type: "string", multiple: true }, planted: { type: "string" } },
  });
  const folder = mkdtempSync(join(tmpdir(), "report-pictures-"));
  const browser = await startChromium();
  try {
    const runs = runsIn(folder, values);
    const report = (/** @type {string[]} */ names, /** @type {string} */ name) =>
      writeReport(names, join(folder, name)).out;
    const files = {
      run: report([runs.run], "run.html"),
      planted: report([runs.planted], "planted.html"),
      comparison: report([runs.run, ...runs.others], "comparison.html"),
    };
    for (const shot of shots) {
      const png = await picture(
        browser,
        shot,
        files[shot.report],
        [runs.run, ...runs.others, runs.planted].map(dirname),
      );
      await savePicture(png, `report-${shot.name}`);
    }
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true });
  }
}

if (isMain(import.meta.url)) await main();
