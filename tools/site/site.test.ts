// The site: every link leads somewhere, and nothing is asked of another host.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import { pathToFileURL } from "node:url";
import { type DefaultTreeAdapterTypes, parse } from "parse5";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startChromium, withoutChromium } from "../../packages/rfdetr/src/testing/pages/chromium.js";
import { makeSite } from "./main.mjs";

const parent = mkdtempSync(join(tmpdir(), "site-"));
const folder = join(parent, "site");

/** Ids, links and loaded files of a page. */
function partsOf(html: string): { ids: Set<string>; links: string[]; loads: string[] } {
  const [ids, links, loads] = [new Set<string>(), [] as string[], [] as string[]];
  const walk = (node: DefaultTreeAdapterTypes.Node): void => {
    if ("attrs" in node)
      for (const { name, value } of node.attrs) {
        if (name === "id") ids.add(value);
        if (name === "href" && node.tagName === "a") links.push(value);
        if (name === "src" || (name === "href" && node.tagName === "link")) loads.push(value);
      }
    if ("childNodes" in node) node.childNodes.forEach(walk);
  };
  walk(parse(html));
  return { ids, links, loads };
}

describe("the site", () => {
  let made: string[];
  beforeAll(() => {
    made = makeSite(folder);
  });
  afterAll(() => rmSync(parent, { recursive: true }));

  it("has every document, the interface in parts, and what they link", () => {
    expect(made).toEqual(
      expect.arrayContaining([
        ...["index.html", "docs/guides/start.html", "docs/api.html", "docs/api/rfdetr.html"],
        ...["docs/images/demo.jpg", "examples/index.html", "examples/server.mjs.html", "FEATURES.html"],
      ]),
    );
  });

  it("has links that lead somewhere, and loads its own files only", () => {
    const pages = new Map(
      made.filter((url) => url.endsWith(".html")).map((url) => [url, partsOf(readFileSync(join(folder, url), "utf8"))]),
    );
    const broken = [...pages].flatMap(([url, { links, loads }]) =>
      [...links.filter((link) => !/^https?:/.test(link)), ...loads.filter((load) => load !== "data:,")]
        .filter((link) => {
          const [place, fragment] = link.split("#");
          const target = place === "" ? url : posix.join(posix.dirname(url), place ?? "");
          if (/^[a-z]+:/.test(link) || !existsSync(join(folder, target))) return true;
          return fragment !== undefined && pages.get(target)?.ids.has(decodeURI(fragment)) !== true;
        })
        .map((link) => `${url}: ${link}`),
    );
    expect(pages.size).toBeGreaterThan(50);
    expect(broken).toEqual([]);
  });

  it("is made anew in its own folder, and in no other", () => {
    const other = join(parent, "other");
    mkdirSync(other);
    writeFileSync(join(other, "thesis.txt"), "");
    expect(() => makeSite(other)).toThrow("Expected a new folder, or that of an earlier site");
    expect(readdirSync(other)).toEqual(["thesis.txt"]);
    makeSite(folder);
  });

  it.skipIf(withoutChromium !== "")(`is read from a disk, on a phone as well${withoutChromium}`, async () => {
    const browser = await startChromium();
    try {
      const page = await browser.newPage({ viewport: { width: 375, height: 700 } });
      const asked: string[] = [];
      const faults: string[] = [];
      page.on("request", (request) => asked.push(request.url()));
      page.on("pageerror", (error) => faults.push(error.message));
      for (const url of ["index.html", "docs/precision.html", "docs/api/rfdetr.html", "FEATURES.html"]) {
        await page.goto(pathToFileURL(join(folder, url)).href);
        const width = await page.evaluate("document.documentElement.scrollWidth");
        expect(width, url).toBe(375);
      }
      await page.fill("input[type=search]", "loss scale");
      await page.press("input[type=search]", "Enter");
      await page.waitForURL(/#.*loss-scale/);
      expect(asked.filter((url) => !url.startsWith(pathToFileURL(dirname(join(folder, "x"))).href))).toEqual([]);
      expect(faults).toEqual([]);
    } finally {
      await browser.close();
    }
  });
});
