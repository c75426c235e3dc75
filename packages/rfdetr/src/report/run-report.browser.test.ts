// The report in a real browser.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumPath, startChromium, withoutChromium } from "../testing/pages/chromium.js";
import { reportRun } from "../testing/runs/report-run.js";
import { writeReport } from "./write-report.js";

/** Texts that differ from what is behind them by less than 4.5 to 1 (WCAG 2.2, 1.4.3), found in the page. */
const weakTexts = String.raw`(() => {
  const channels = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = channels(colour).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if ((channels(colour)[3] ?? 1) > 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const weak = new Set();
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== "");
    if (!own || element.getClientRects().length === 0) continue;
    const style = getComputedStyle(element);
    const [a, b] = [luminance(element instanceof SVGElement ? style.fill : style.color), luminance(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.add(element.tagName + " " + element.textContent.slice(0, 20) + " " + ratio.toFixed(1));
  }
  return [...weak];
})()`;

describe.skipIf(chromiumPath() === null)(`a report in a browser${withoutChromium}`, () => {
  const root = mkdtempSync(join(tmpdir(), "report-browser-"));
  const run = reportRun(join(root, "run"), { module: `decoder.${"a_long_name_without_a_place_to_break".repeat(4)}` });
  const other = reportRun(join(root, "other"), { precision: "bf16-mixed" });
  const files = { report: writeReport([run]).out, comparison: writeReport([run, other], join(root, "both.html")).out };
  let browser: Browser;
  const complaints: string[] = [];
  const requests: string[] = [];
  beforeAll(async () => {
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser.close();
    rmSync(root, { recursive: true });
  });

  async function open(file: keyof typeof files, width: number, colorScheme: "light" | "dark" = "light"): Promise<Page> {
    const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("request", (request) => requests.push(request.url()));
    await page.goto(pathToFileURL(files[file]).href);
    return page;
  }

  it.each(["report", "comparison"] as const)(
    "%s needs no scrolling to the side on a phone, even when all is open",
    async (file) => {
      const page = await open(file, 360);
      await page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true");
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360);
      await page.close();
    },
  );

  it("asks nobody for anything, and breaks none of its own rules", async () => {
    await (await open("report", 1600)).close();
    expect(requests.filter((address) => !address.startsWith("file:") && !address.startsWith("data:"))).toEqual([]);
    expect(complaints).toEqual([]);
  });

  it("has enough contrast in light and dark", async () => {
    for (const scheme of ["light", "dark"] as const) {
      const page = await open("report", 1000, scheme);
      expect(await page.evaluate(weakTexts), scheme).toEqual([]);
      await page.close();
    }
  });

  it("is used by keyboard: contents, tables that scroll, modules that open", async () => {
    const page = await open("report", 360);
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Go to the content");
    const module = page.locator(".tree summary").first();
    await module.focus();
    await page.keyboard.press("Enter");
    await page.locator(".tree table").first().waitFor({ state: "visible" });
    await page.close();
  });

  it("prints on paper, light", async () => {
    const page = await open("report", 1000, "dark");
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    expect(await page.evaluate("getComputedStyle(document.body).backgroundColor")).toBe("rgb(255, 255, 255)");
    const paper = await page.pdf({ format: "A4" });
    expect(paper.subarray(0, 5).toString()).toBe("%PDF-");
    await page.close();
  });
});
