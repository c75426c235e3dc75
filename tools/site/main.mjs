#!/usr/bin/env node
// @ts-check
// Makes a site of all documents that works from a disk, without a server and a network: npm run site -- DIR
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { isMain, paths, read, root } from "../check/repository.mjs";
import { layout } from "./layout.mjs";
import { navigation, pages, urlOf } from "./pages.mjs";
import { escaped, render } from "./render.mjs";

/** A folder with this file was made by this program, which may replace it. */
const marker = "site.json";

/** @param {string} folder @param {string} url @param {string} text */
function write(folder, url, text) {
  mkdirSync(dirname(join(folder, url)), { recursive: true });
  writeFileSync(join(folder, url), text);
}

/**
 * @param {string} folder a new one, or that of an earlier site
 * @returns {string[]} the pages, as paths in the folder
 */
export function makeSite(folder) {
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    if (!existsSync(join(folder, marker)))
      throw new Error(`Expected a new folder, or that of an earlier site, but ${folder} holds other files`);
    rmSync(folder, { recursive: true });
  }
  const all = pages();
  const known = new Set([...paths(), ...all.map(({ path }) => path)]);
  const find = (/** @type {string} */ path) =>
    known.has(path) ? path : known.has(posix.join(path, "README.md")) ? posix.join(path, "README.md") : null;
  const rendered = all.map((page) => ({ ...page, ...render(page, find) }));
  const titles = new Map(rendered.map(({ url, title }) => [url, title]));
  const groups = navigation(all).map(({ title, pages }) => ({
    title,
    pages: pages.map(({ url }) => ({ url, title: titles.get(url) ?? url })),
  }));
  for (const page of rendered) write(folder, page.url, layout(page, groups));
  const isPage = new Set(all.map(({ path }) => path));
  const linked = new Set(rendered.flatMap(({ files }) => [...files]).filter((path) => !isPage.has(path)));
  for (const path of linked) {
    const url = urlOf(path);
    if (url === path) {
      mkdirSync(dirname(join(folder, url)), { recursive: true });
      copyFileSync(join(root, path), join(folder, url));
      continue;
    }
    const html = `<h1>${escaped(path)}</h1>\n<pre><code>${escaped(read(path).text)}</code></pre>`;
    write(folder, url, layout({ url, title: path, html, headings: [] }, groups));
  }
  const entries = rendered.flatMap(({ url, title, headings }) =>
    headings
      .filter(({ level }) => level < 4)
      .map(({ text, id, level }) => [text, title, level === 1 ? url : `${url}#${id}`]),
  );
  write(folder, "entries.js", `globalThis.siteEntries = ${JSON.stringify(entries)};\n`);
  for (const file of ["style.css", "site.js"])
    write(folder, file, readFileSync(new URL(file, import.meta.url), "utf8"));
  const made = [...rendered.map(({ url }) => url), ...[...linked].map(urlOf)];
  write(folder, marker, `${JSON.stringify({ files: made.length })}\n`);
  return made;
}

if (isMain(import.meta.url)) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error("Expected the folder of the site: npm run site -- DIR");
  const made = makeSite(folder);
  console.log(`${made.length} pages and pictures: open ${join(folder, "index.html")}`);
}
