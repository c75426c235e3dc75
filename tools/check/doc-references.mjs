#!/usr/bin/env node
// @ts-check
// Everything that the documents point at must exist: files, `file: symbol`, links, npm scripts, commands, options.
// Every picture of the documents is shown by one of them.
// In comments of the code whole paths are looked up, and links to names; in its texts, the commands that they send to.
import { posix } from "node:path";
import { isMain, isTest, paths, read, report, written } from "./repository.mjs";

/** @typedef {import("./repository.mjs").File} File */
/**
 * What the repository has.
 * @typedef {{paths: string[], read: (path: string) => File, scripts: string[]}} Files
 * @typedef {Files & {commands: Set<string>, options: Set<string>}} Repository
 */

/** @returns {Repository} */
function repository() {
  const scripts = Object.keys(JSON.parse(read("package.json").text).scripts);
  const command = written(/\/cli\/[^.]+\.ts$/).map(({ text }) => text);
  const all = (/** @type {RegExp} */ pattern) =>
    new Set(command.flatMap((text) => [...text.matchAll(pattern)].map((found) => found[1])));
  return {
    paths: paths(),
    read,
    scripts,
    commands: all(/\bcommand\("([\w-]+)/g),
    options: new Set([...all(/["'` ](--[a-z][\w-]*)/g), "--help", "--version"]),
  };
}

/** `a/{b,c}.ts` is two paths. @param {string} path @returns {string[]} */
function expanded(path) {
  const braces = /^(.*)\{([^}]*)\}(.*)$/.exec(path);
  return braces === null
    ? [path]
    : braces[2].split(",").flatMap((part) => expanded(braces[1] + part.trim() + braces[3]));
}

/** @param {string} heading as GitHub makes an anchor of it */
const anchor = (heading) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replace(/\s/g, "-");

/** @param {Repository} repo @param {string} name a path, or the end of one; `*` stands for a part of a name */
function filesNamed(repo, name) {
  const pattern = name
    .replace(/^\.\//, "")
    .replace(/[.+^$()|[\]\\]/g, "\\$&")
    .replace(/\*\*?/g, "[^ ]*");
  const wanted = new RegExp(`(^|/)${pattern}$`);
  return repo.paths.filter((path) => wanted.test(path));
}

/**
 * @param {Repository} repo
 * @param {string} code what stands between backquotes, or a line of a fenced block
 * @returns {string[]} what does not exist
 */
function missing(repo, code) {
  /** @type {string[]} */
  const found = [];
  for (const token of code.match(/[\w@.*/{},-]+\.(?:ts|mjs|cc|h|py)\b(?!\.)(?:: *[\w.#]+)?/g) ?? []) {
    const [file, symbol] = token.split(/: */);
    for (const name of expanded(file)) {
      const files = filesNamed(repo, name);
      if (files.length === 0) found.push(`no file ${name}`);
      else if (
        symbol !== undefined &&
        !files.some((path) => symbol.split(/[.#]/).every((word) => mentions(repo.read(path).text, word)))
      )
        found.push(`no ${symbol} in ${files.join(", ")}`);
    }
  }
  for (const [token] of code.matchAll(/(?<![\w/.])(?:packages|tools|bench|examples|docs|\.ci|\.github)\/[\w@./*-]*\w/g))
    if (
      !/\.(ts|mjs|cc|h|py)$/.test(token) &&
      filesNamed(repo, token).length === 0 &&
      !repo.paths.some((path) => path.startsWith(`${token}/`))
    )
      found.push(`no file or folder ${token}`);
  for (const [, script] of code.matchAll(/npm run ([\w:-]+)/g))
    if (!repo.scripts.includes(script)) found.push(`no script npm run ${script}`);
  for (const [, words] of code.matchAll(/(?:npx |^)rfdetr ([^#|>&]*)/g)) {
    const [command, second] = words.trim().split(/\s+/);
    const names = command === "data" && /^[a-z]+$/.test(second ?? "") ? [command, second] : [command];
    for (const name of names)
      if (/^[a-z]/.test(name) && !repo.commands.has(name)) found.push(`no command rfdetr ${names.join(" ")}`);
    for (const [option] of words.matchAll(/(?<=^|[ [(|])--[a-z][\w-]*/g))
      if (!repo.options.has(option)) found.push(`no option ${option} of rfdetr`);
  }
  return found;
}

const mentions = (/** @type {string} */ text, /** @type {string} */ word) =>
  new RegExp(`(?<![\\w$])${word}(?![\\w$])`).test(text);

/** @param {Repository} repo @param {File} from @param {string} target @returns {string[]} */
function missingLink(repo, from, target) {
  const [place, fragment] = target.split("#");
  const path = place === "" ? from.path : posix.normalize(posix.join(posix.dirname(from.path), decodeURI(place)));
  if (!repo.paths.some((known) => known === path || known.startsWith(`${path.replace(/\/$/, "")}/`)))
    return [`no file ${path}`];
  if (!fragment || !path.endsWith(".md")) return [];
  const headings = [...repo.read(path).text.matchAll(/^#+ +(.*)$/gm)].map((heading) => anchor(heading[1]));
  return headings.includes(fragment) ? [] : [`no heading #${fragment} in ${path}`];
}

/** Places that a line of Markdown or HTML points at. @param {string} line @returns {string[]} */
const linksOf = (line) =>
  [...line.matchAll(/\]\(([^)\s]+)[^)]*\)|\b(?:src|srcset)="([^"]+)"/g)].map((link) => link[1] ?? link[2]);

/** @param {File[]} documents @param {string[]} all @returns {string[]} */
export function unshownPictures(documents, all) {
  const links = documents.flatMap(({ text }) => linksOf(text));
  return all
    .filter((path) => path.startsWith("docs/images/"))
    .filter((path) => !links.some((link) => link.endsWith(path.replace("docs/", ""))))
    .map((path) => `${path}: no document shows this picture`);
}

/**
 * Links of comments to names that the file neither declares nor imports: editors show them as words.
 * @param {File} file @returns {string[]}
 */
function danglingLinks({ path, text }) {
  const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  return text
    .split("\n")
    .flatMap((line, i) =>
      [...line.matchAll(/\{@link ([^}]*)\}/g)]
        .filter(([, name]) => !name.split(/[.#]/).every((word) => /^[\w$]+$/.test(word) && mentions(code, word)))
        .map(([, name]) => `${path}:${i + 1}: {@link ${name}} leads to nothing that the file declares or imports`),
    );
}

/** Commands that the texts of a file send to. @param {File} file @param {Repository} repo @returns {string[]} */
function missingCommands({ path, text }, repo) {
  return text
    .split("\n")
    .flatMap((line, i) =>
      [...line.matchAll(/\b[sS]ee ((?:npx )?rfdetr [a-z][\w -]*)/g)]
        .flatMap(([, command]) => missing(repo, command))
        .map((what) => `${path}:${i + 1}: ${what}`),
    );
}

/** @param {File} file @param {Repository} repo @returns {string[]} */
function breachesOfCode(file, repo) {
  const isSource = file.path.endsWith(".ts");
  return [...missingPaths(file, repo), ...(isSource ? danglingLinks(file) : []), ...missingCommands(file, repo)];
}

/** Paths in comments. @param {File} file @param {Repository} repo @returns {string[]} */
function missingPaths(file, repo) {
  return file.text
    .split("\n")
    .flatMap((line, i) =>
      [
        ...(/(?:\/\/|^\s*\*|\/\*\*|^\s*#) .*/.exec(line)?.[0] ?? "").matchAll(
          /(?<![\w/.])(?:packages|tools|bench|examples|docs)\/[\w./-]+\.\w+/g,
        ),
      ]
        .filter(([path]) => filesNamed(repo, path).length === 0)
        .map(([path]) => `${file.path}:${i + 1}: no file ${path}`),
    );
}

/** @param {File[]} files @param {Repository} repo @returns {string[]} */
export function breaches(files, repo) {
  return files.flatMap((document) => {
    if (!document.path.endsWith(".md")) return breachesOfCode(document, repo);
    let fenced = false;
    // A block that begins with `// NAME` shows a file of the reader.
    const shown = [...document.text.matchAll(/^```\w+\n(?:\/\/|#) ([\w.-]+)/gm)].map(([, name]) => name);
    const isShown = (/** @type {string} */ what) =>
      shown.some((name) => new RegExp(`^no file (\\./)?${name}$`).test(what));
    return document.text.split("\n").flatMap((line, i) => {
      if (/^\s*```/.test(line)) fenced = !fenced;
      const code = fenced ? [line] : [...line.matchAll(/`([^`]+)`/g)].map((span) => span[1]);
      const links = fenced ? [] : linksOf(line);
      return [
        ...code.flatMap((text) => missing(repo, text)).filter((what) => !isShown(what)),
        ...links.filter((target) => !/^[a-z]+:/.test(target)).flatMap((target) => missingLink(repo, document, target)),
      ].map((what) => `${document.path}:${i + 1}: ${what}`);
    });
  });
}

if (isMain(import.meta.url)) {
  const files = written(/\.(md|ts|mjs|cc|h|py)$/).filter(({ path }) => path !== "CHANGELOG.md" && !isTest(path));
  const documents = files.filter(({ path }) => path.endsWith(".md"));
  report("doc-references", [...breaches(files, repository()), ...unshownPictures(documents, paths())]);
}
