import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { attribute, isIn } from "../../testing/pages/html-page.js";
import { reportOf } from "../../testing/runs/written-report.js";

const page = reportOf();

describe("the report of a run, as a file", () => {
  it("loads nothing and runs nothing", () => {
    const addresses = page
      .all()
      .flatMap((element) => ["src", "href", "action"].flatMap((name) => attribute(element, name) ?? []));
    expect(addresses.filter((address) => !/^(#|data:image\/)/.test(address))).toEqual([]);
    expect(page.all("script", "link", "iframe", "object", "embed", "base", "form")).toEqual([]);
    const attributes = page.all().flatMap(({ attrs }) => attrs.map(({ name }) => name));
    expect(attributes.filter((name) => name === "style" || name.startsWith("on") || name === "srcset")).toEqual([]);
    const [style] = page.all("style");
    expect(style.childNodes.map((node) => ("value" in node ? node.value : "")).join("")).not.toMatch(/url\(|@import/);
  });

  it("forbids everything but its own style and its own pictures", () => {
    const [policy] = page.all("meta").filter((meta) => attribute(meta, "http-equiv") === "Content-Security-Policy");
    const [style] = page.all("style");
    const hash = createHash("sha256");
    for (const node of style.childNodes) if ("value" in node) hash.update(node.value);
    expect(attribute(policy, "content")).toBe(
      `default-src 'none'; img-src data:; style-src 'sha256-${hash.digest("base64")}'; base-uri 'none'; form-action 'none'`,
    );
  });

  it("has one heading of the page, and none that skips a level or is empty", () => {
    const headings = page.all("h1", "h2", "h3", "h4");
    const levels = headings.map(({ tagName }) => Number(tagName[1]));
    expect(levels.filter((level) => level === 1)).toHaveLength(1);
    levels.slice(1).forEach((level, i) => {
      expect(level - levels[i]).toBeLessThanOrEqual(1);
    });
    expect(headings.map((heading) => page.text(heading))).not.toContain("");
  });

  it("names each chapter in its contents, by an anchor that is there once", () => {
    const ids = page.all().flatMap((element) => attribute(element, "id") ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    const links = page.all("a").map((link) => attribute(link, "href")?.slice(1));
    expect(links.filter((id) => !ids.includes(id ?? ""))).toEqual([]);
    expect(links.length).toBe(page.all("section").length + 1);
  });

  it("can be heard: words for every picture and chart, headers for every table, numbers for every figure", () => {
    for (const chart of page.all("svg").filter((svg) => attribute(svg, "role") === "img"))
      expect(attribute(chart, "aria-label")).toMatch(/\w{3}.*\.$/);
    for (const picture of page.all("img")) expect(attribute(picture, "alt")).not.toBe("");
    for (const table of page.all("table")) {
      const inside = page.all("caption", "th").filter((element) => isIn(element, table));
      expect(inside.some(({ tagName }) => tagName === "caption")).toBe(true);
      expect(inside.filter(({ tagName }) => tagName === "th").every((th) => attribute(th, "scope") !== null)).toBe(
        true,
      );
    }
    const figures = page
      .all("figure")
      .filter((figure) => page.all("svg").some((svg) => attribute(svg, "role") === "img" && isIn(svg, figure)));
    expect(figures.length).toBeGreaterThan(10);
    // Those inside of a module stand below its table.
    const inTree = new Set(page.all("ul").filter((list) => attribute(list, "class") === "tree"));
    for (const figure of figures.filter((each) => ![...inTree].some((tree) => isIn(each, tree))))
      expect(
        page.all("table").some((table) => isIn(table, figure)),
        page.text(figure).slice(0, 40),
      ).toBe(true);
  });

  it("labels both axes of every chart", () => {
    for (const label of ["optimizer step", "epoch", "loss scale", "absolute value", "bytes", "seconds", "MiB"])
      expect(page.texts("text")).toContain(label);
  });
});
