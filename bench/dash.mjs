#!/usr/bin/env node
// @ts-check
// The live page over many long runs: what a browser waits for, what is sent, and the memory of the server.
//
//   npm run build && node bench/dash.mjs [--runs 50] [--steps 100000]
//
// One run has all the steps and a watched step every 200, as a training of nano writes them; the others have a tenth of
// the steps. The server runs in a process of its own. Without Chromium the figures of the browser are left out.
import { fork } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startDash } from "rfdetr/dash";
import { chromiumPath, startChromium } from "../packages/rfdetr/dist/testing/pages/chromium.js";
import { writeExampleRun } from "../packages/rfdetr/dist/testing/runs/example-run.js";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "50" },
    steps: { type: "string", default: "100000" },
    serve: { type: "string" },
  },
});

/** @param {number} runs @param {number} steps */
async function measure(runs, steps) {
  const root = mkdtempSync(join(tmpdir(), "bench-dash-"));
  try {
    const long = join(root, "long");
    const growing = { path: "transformer.decoder.layers.1.linear1", everySteps: steps / 10 };
    writeExampleRun(long, { steps, epochSteps: steps / 100, watchedEvery: 200, layers: 12, growing, summary: null });
    for (let i = 1; i < runs; i++)
      writeExampleRun(join(root, `run-${i}`), {
        steps: steps / 10,
        epochSteps: steps / 1000,
        watchedEvery: 1000,
        seed: i,
      });
    const log = statSync(join(long, "numerics.jsonl")).size;
    console.log(`${runs} runs, ${steps} steps in the longest; its numerics.jsonl has ${megabytes(log)}`);
    const server = fork(import.meta.filename, ["--serve", root], { execArgv: [] });
    const url = /** @type {string} */ (await once(server));
    const memory = async () => {
      server.send("memory");
      return /** @type {number} */ (await once(server));
    };
    try {
      await overHttp(url, memory, long);
      if (chromiumPath() === null)
        console.log("first paint: skipped, Chromium is not installed (apt install chromium)");
      else await inBrowser(url, memory, long);
    } finally {
      server.kill();
    }
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** The next message of a process. @param {import("node:child_process").ChildProcess} process @returns {Promise<unknown>} */
const once = (process) => new Promise((resolve) => process.once("message", resolve));
/** @param {number} bytes */
const megabytes = (bytes) => (bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
/** @param {string} what @param {number} milliseconds @param {number} [bytes] */
const row = (what, milliseconds, bytes) =>
  console.log(
    `${what.padEnd(46)} ${`${milliseconds.toFixed(0)} ms`.padStart(9)} ${bytes === undefined ? "" : megabytes(bytes).padStart(10)}`,
  );

/** @param {string} url @param {() => Promise<number>} memory @param {string} long */
async function overHttp(url, memory, long) {
  const { origin } = new URL(url);
  const cookie = (await fetch(url)).headers.get("set-cookie")?.split(";")[0] ?? "";
  /** @param {string} what @param {string} path */
  const get = async (what, path) => {
    const start = performance.now();
    const text = await (await fetch(origin + path, { headers: { cookie } })).text();
    row(what, performance.now() - start, text.length);
    return JSON.parse(text);
  };
  console.log(`memory of the server before: ${megabytes(await memory())}`);
  const rows = await get("list of all runs, first time", "/api/runs");
  await get("list of all runs, nothing new", "/api/runs");
  const run = `/api/runs/${rows.find((/** @type {{name: string}} */ { name }) => name === "long").id}`;
  const all = await get("steps of the long run, first time", `${run}/steps?generation=0&count=0`);
  const has = `generation=${all.generation}&count=${all.step.length}`;
  appendFileSync(join(long, "numerics.jsonl"), lastStep(long));
  await get("steps of the long run, one new step", `${run}/steps?${has}`);
  console.log(`memory of the server with the curves: ${megabytes(await memory())}`);
  const watched = await get("watched steps of the long run, first time", `${run}/watched?generation=0&count=0`);
  await get(
    "watched steps, nothing new",
    `${run}/watched?generation=${watched.generation}&count=${watched.steps.length}&records=${watched.records}`,
  );
  await get("exponents of one module", `${run}/exponents?path=${watched.modules[5].path}&side=forward`);
  console.log(`memory of the server with the microscope: ${megabytes(await memory())}`);
}

/** A line for the step after the last. @param {string} run */
function lastStep(run) {
  const text = readFileSync(join(run, "numerics.jsonl"), "utf8");
  const line = text.slice(text.lastIndexOf('{"v":1,"kind":"step"')).split("\n")[0];
  return `${JSON.stringify({ ...JSON.parse(line), step: JSON.parse(line).step + 1 })}\n`;
}

/** @param {string} url @param {() => Promise<number>} memory @param {string} long */
async function inBrowser(url, memory, long) {
  const browser = await startChromium();
  try {
    const page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
    let bytes = 0;
    const session = await page.context().newCDPSession(page);
    await session.send("Network.enable");
    session.on("Network.dataReceived", ({ dataLength }) => (bytes += dataLength));
    /** @param {string} what @param {() => Promise<unknown>} act */
    const timed = async (what, act) => {
      bytes = 0;
      const start = performance.now();
      await act();
      row(what, performance.now() - start, bytes);
    };
    await timed("browser: page with the list of runs", async () => {
      await page.goto(url);
      await page.getByRole("link", { name: "long", exact: true }).waitFor();
    });
    const paint = /** @type {number} */ (
      await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    );
    row("browser: first paint after the address", paint);
    await timed("browser: curves of the long run", async () => {
      await page.getByRole("link", { name: "long", exact: true }).click();
      await page.locator(".uplot").nth(4).waitFor();
    });
    await timed("browser: microscope of the long run", async () => {
      await page.getByRole("tab", { name: "Numerics" }).click();
      await page.locator(".makers, .largest table").first().waitFor();
    });
    await timed("browser: another module, by a key", async () => {
      await page.locator('[role="treeitem"][tabindex="0"]').focus();
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Enter");
      await page.evaluate("new Promise(requestAnimationFrame)");
    });
    bytes = 0;
    await page.waitForTimeout(10_000);
    console.log(`browser: ten seconds without news: ${megabytes(bytes)}`);
    const step = lastStep(long);
    bytes = 0;
    appendFileSync(join(long, "numerics.jsonl"), step);
    await page.waitForTimeout(3000);
    console.log(`browser: one new step: ${megabytes(bytes)}`);
    console.log(`memory of the server with a page open: ${megabytes(await memory())}`);
  } finally {
    await browser.close();
  }
}

if (values.serve !== undefined) {
  const dash = await startDash({ folder: values.serve, port: 0 });
  process.send?.(dash.url);
  process.on("message", () => process.send?.(process.memoryUsage().rss)).on("disconnect", () => process.exit());
} else await measure(Number(values.runs), Number(values.steps));
