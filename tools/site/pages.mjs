// @ts-check
// What the site is made of: the documents, the parts of the page of the interface, and the files that they link.
import { posix } from "node:path";
import { read, written } from "../check/repository.mjs";

/**
 * @typedef {{path: string, text: string, url: string}} Page Markdown; `url` from the top of the site
 * @typedef {{title: string, paths: string[]}} Group of the navigation
 */

/** The page of the interface, which is too long for one. */
const reference = "docs/api.md";

/** @type {Group[]} pages in no group come last */
const groups = [
  { title: "Start", paths: ["README.md", "docs/guides/start.md", "docs/guides/your-data.md", "docs/install.md"] },
  {
    title: "Guides",
    paths: ["from-python", "precision", "numerics", "resume", "server", "recipes", "troubleshooting"].map(
      (name) => `docs/guides/${name}.md`,
    ),
  },
  {
    title: "Training",
    paths: [
      "data",
      "training",
      "precision",
      "precision-measured",
      "numerics",
      "gpu",
      "several-processes",
      "scale-out",
    ].map((name) => `docs/${name}.md`),
  },
  { title: "Reports and speed", paths: ["report", "dash", "performance", "profile"].map((name) => `docs/${name}.md`) },
  { title: "Predicting", paths: ["docs/predict.md", "docs/export.md", "docs/deploy.md", "examples/README.md"] },
  { title: "Reference", paths: [reference, "docs/errors.md", "FEATURES.md", "docs/oddities.md", "CHANGELOG.md"] },
];

/** Where a file of the repository is in the site. @param {string} path */
export function urlOf(path) {
  if (/(^|\/)README\.md$/.test(path)) return path.replace(/README\.md$/, "index.html");
  if (path.endsWith(".md")) return path.replace(/\.md$/, ".html");
  return /\.(svg|png|jpe?g)$/.test(path) ? path : `${path}.html`;
}

/** @param {string} specifier such as `rfdetr/model` */
const partOf = (specifier) => `docs/api/${specifier.replace(/^@/, "").replaceAll("/", "-")}.md`;

/** The page of the interface as a list, and a page for each module. @returns {Page[]} */
function referencePages() {
  const [head, ...parts] = read(reference).text.split(/^## /m);
  const pages = parts.map((part) => {
    const [specifier] = part.split("\n", 1);
    const path = partOf(specifier);
    const text = `# ${part.replace(/^### /gm, "## ")}`;
    return { specifier, path, text, url: urlOf(path) };
  });
  const list = pages.map(({ specifier, path, text }) => {
    const names = [...text.matchAll(/^## (.*)$/gm)].map(([, name]) => name);
    const link = posix.relative(posix.dirname(reference), path);
    return `## ${specifier}\n\n[${specifier}](${link}): ${names.map((name) => `[${name}](${link}#${anchor(name)})`).join(", ")}\n`;
  });
  return [{ path: reference, text: `${head}\n${list.join("\n")}`, url: urlOf(reference) }, ...pages];
}

/** A heading as GitHub makes an anchor of it. @param {string} heading */
export const anchor = (heading) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replace(/\s/g, "-");

/** @returns {Page[]} */
export function pages() {
  const documents = written(/\.md$/).filter(({ path }) => path !== reference && !path.startsWith("packages/"));
  return [...documents.map((file) => ({ ...file, url: urlOf(file.path) })), ...referencePages()];
}

/** The navigation. @param {readonly Page[]} all @returns {{title: string, pages: Page[]}[]} */
export function navigation(all) {
  const taken = new Set(groups.flatMap(({ paths }) => paths));
  const rest = all
    .map(({ path }) => path)
    .filter((path) => !taken.has(path) && !path.startsWith("docs/api/") && !/^docs\/.*README/.test(path));
  return [...groups, { title: "The project", paths: rest }].map(({ title, paths }) => ({
    title,
    pages: paths.flatMap((path) => all.find((page) => page.path === path) ?? []),
  }));
}
