// The page of a single run in a real browser.
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumPath, startChromium, withoutChromium } from "../testing/pages/chromium.js";
import { writeExampleRun } from "../testing/runs/example-run.js";
import { type Dash, startDash } from "./server.js";

describe.skipIf(chromiumPath() === null)(`the page of a single run${withoutChromium}`, () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "dash-")));
  const run = join(root, "birds");
  let dash: Dash;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    writeExampleRun(run);
    const metrics = join(run, "metrics.csv");
    const [header, ...rows] = readFileSync(metrics, "utf8").trimEnd().split("\n");
    const columns = header.split(",");
    const found = ["val/AP", "val/AP50"].map((name) => columns.indexOf(name));
    const nothing = rows.map((row) => row.split(",").map((cell, i) => (found.includes(i) ? "0" : cell)));
    writeFileSync(metrics, `${[header, ...nothing].join("\n")}\n`);
    dash = await startDash({ folder: run, port: 0 });
    browser = await startChromium();
    page = await browser.newPage({ viewport: { width: 1600, height: 900 } });
    await page.goto(dash.url);
  });
  afterAll(async () => {
    await browser.close();
    await dash.close();
    rmSync(root, { recursive: true });
  });

  it("opens that run, by the name of its folder, and shows no way to a list of others", async () => {
    await page.getByRole("heading", { name: "birds" }).waitFor();
    const back = page.getByRole("link", { name: "all runs", includeHidden: true });
    expect(await back.isVisible()).toBe(false);
    await page.goto(`${new URL(page.url()).origin}/#/`);
    expect(await page.getByRole("table").getByRole("link").allTextContents()).toEqual(["birds"]);
    await page.getByRole("link", { name: "birds" }).click();
    await page.getByRole("heading", { name: "birds" }).waitFor();
    expect(await back.isVisible()).toBe(false);
  });

  it("has marks at the axis of AP where nothing was found", async () => {
    const chart = page.locator(".chart", { hasText: "Average precision" }).first();
    await chart.locator("canvas").waitFor();
    // The strip left of the plot, where the marks stand, without what lies below it.
    const drawn = await page.evaluate(
      "document.querySelector('.chart canvas').getContext('2d').getImageData(0, 0, 60, 150).data.some((value, i) => i % 4 === 3 && value > 0)",
    );
    expect(drawn).toBe(true);
  });
});
