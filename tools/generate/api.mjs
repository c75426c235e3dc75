#!/usr/bin/env node
// @ts-check
// Writes docs/api.md from the documentation comments of everything that the packages export.
//
//   npm run build && node tools/generate/api.mjs           writes it
//   npm run build && node tools/generate/api.mjs --check   fails where it is out of date, an export has no comment,
//                                                          or an example has a wrong type
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseSync } from "oxc-parser";
import { compile } from "../blocks/compile.mjs";
import { root } from "../check/repository.mjs";

/**
 * @typedef {{doc: string, text: string, kind: string}} Declaration
 * @typedef {Map<string, () => Declaration>} Exports
 */

/** @type {Map<string, Exports>} */
const modules = new Map();

/** Everything that a compiled module exports, by name. @param {string} file a .d.ts @returns {Exports} */
function exportsOf(file) {
  const known = modules.get(file);
  if (known !== undefined) return known;
  /** @type {Exports} */
  const found = new Map();
  modules.set(file, found);
  const text = readFileSync(file, "utf8");
  const { program, comments } = parseSync(file, text);
  const docBefore = (/** @type {number} */ start) => {
    const comment = comments.findLast(({ end }) => end <= start);
    const belongs =
      comment?.type === "Block" && comment.value[0] === "*" && text.slice(comment.end, start).trim() === "";
    return belongs ? plain(comment.value) : "";
  };
  const at = (source) => join(dirname(file), source.value.replace(/\.js$/, ".d.ts"));
  const declare = (node, doc) => {
    const { declaration } = node;
    const name = (declaration.id ?? declaration.declarations[0].id).name;
    const before = found.get(name)?.();
    const code = text.slice(declaration.start, declaration.end).replace(/^declare /, "");
    const whole = before === undefined ? code : `${before.text}\n${code}`;
    const kind = before?.kind ?? /^(abstract class|\w+)/.exec(code)?.[0] ?? "";
    found.set(name, () => ({ doc: before?.doc || doc, text: whole, kind: kind.replace("abstract ", "") }));
  };
  for (const node of program.body) {
    if (node.type === "ExportNamedDeclaration" && node.declaration !== null) declare(node, docBefore(node.start));
    else if (node.type === "ExportNamedDeclaration" && node.source !== null) {
      const other = exportsOf(at(node.source));
      for (const { local, exported } of node.specifiers) {
        const [from, to] = /** @type {{name: string}[]} */ (/** @type {unknown} */ ([local, exported]));
        const original = other.get(from.name);
        if (original === undefined)
          throw new Error(`${at(node.source)} exports no ${from.name}, which ${file} passes on`);
        found.set(to.name, original);
      }
    } else if (node.type === "ExportAllDeclaration" && node.exported === null)
      for (const [name, declaration] of exportsOf(at(node.source))) found.set(name, declaration);
    else if (node.type === "ExportAllDeclaration")
      found.set(/** @type {{name: string}} */ (/** @type {unknown} */ (node.exported)).name, () => ({
        doc: headOf(at(node.source)) || docBefore(node.start),
        text: "",
        kind: "namespace",
      }));
  }
  return found;
}

/** The sentence at the head of the source of a compiled module. */
const headOf = (file) =>
  /^\/\/ (.*)/.exec(readFileSync(file.replace("/dist/", "/src/").replace(/\.d\.ts$/, ".ts"), "utf8"))?.[1] ?? "";

/** A documentation comment without its stars. */
const plain = (comment) =>
  comment
    .slice(1)
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd())
    .join("\n")
    .trim();

/** Text and tags of a comment. @returns {{text: string, tags: {tag: string, body: string}[]}} */
function parse(doc) {
  const [text, ...rest] = doc.split(/(?:^|\s)@(?=(?:param|returns|throws|example)\b)/);
  const tags = rest.map((part) => {
    const [, tag, body] = /^(\w+)\s*([\s\S]*)$/.exec(part) ?? ["", "", part];
    return { tag, body: body.trimEnd() };
  });
  return { text: text.trim(), tags };
}

/** @param {string} name @param {Declaration} declaration */
function section(name, { doc, text, kind }) {
  const { text: about, tags } = parse(doc.replace(/\{@link ([\w.#]+)\}/g, "`$1`"));
  const lines = [`### ${name}`, "", about === "" ? "" : `${about}\n`];
  const list = tags.flatMap(({ tag, body }) => {
    const line = body.replace(/\s*\n\s*/g, " ");
    if (tag === "param") return [`- ${line.replace(/^(\S+)\s*/, "`$1`: ")}`];
    if (tag === "returns") return [`- Returns ${line}`];
    return tag === "throws" ? [`- Throws ${line}`] : [];
  });
  if (list.length > 0) lines.push(...list, "");
  if (kind !== "namespace") lines.push("```ts", shortened(text), "```", "");
  for (const { tag, body } of tags) if (tag === "example") lines.push("Example:", "", "```ts", body, "```", "");
  return lines.join("\n").replace(/\n{3,}/g, "\n\n");
}

/** A declaration without what cannot be used from outside; of a long constant, its beginning. */
function shortened(text) {
  const open = text
    .split("\n")
    .filter((line) => !/^\s*(#private;|private )/.test(line))
    .map((line) => line.replace(/^( {4})+/, (indent) => indent.slice(indent.length / 2)))
    .map((line) => line.replace(/\{@link ([\w.#]+)\}/g, "$1"))
    .join("\n");
  return text.startsWith("const") && open.length > 400 ? `${open.slice(0, 300).replace(/\s+\S*$/, "")} …` : open;
}

/**
 * Subpaths of the packages with what they export, as users write them.
 * @returns {{specifier: string, file: string, exports: Exports}[]}
 */
function subpaths() {
  return ["rfdetr", "amp", "torch"].flatMap((folder) => {
    const home = join(root, "packages", folder);
    const { name, exports } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
    return Object.entries(exports)
      .filter(([, target]) => target.types !== undefined)
      .map(([key, target]) => {
        const file = join(home, target.types);
        return { specifier: name + key.slice(1), file, exports: exportsOf(file) };
      });
  });
}

/** The page, names of exports without a comment, and the examples. */
function make() {
  const bare = [];
  const examples = [];
  const written = new Map();
  const parts = subpaths().map(({ specifier, file, exports }) => {
    const names = [...exports.keys()].sort((a, b) => a.localeCompare(b, "en"));
    const sections = names.map((name) => {
      const declaration = exports.get(name)?.() ?? { doc: "", text: "", kind: "" };
      const first = written.get(declaration.text || name);
      if (first !== undefined) return `### ${name}\n\nThe same as in \`${first}\`.\n`;
      written.set(declaration.text || name, specifier);
      if (declaration.doc === "") bare.push(`${specifier}: ${name}`);
      const code = parse(declaration.doc).tags.filter(({ tag }) => tag === "example");
      for (const { body } of code) examples.push({ name: `${examples.length}-${name}`, body });
      return section(name, declaration);
    });
    const about = headOf(file).replace(/^`[^`]*`: /, "");
    return `## ${specifier}\n\n${about.charAt(0).toUpperCase()}${about.slice(1)}\n\n${sections.join("\n")}`;
  });
  const head = "# Interface\n\nGenerated by `tools/generate/api.mjs` from the comments of what the packages export.\n";
  return { page: `${[head, ...parts].join("\n").trimEnd()}\n`, bare, examples };
}

/** What examples take as given. */
const given = `declare global {
  const model: import("rfdetr/model").RFDETRModel;
  const images: import("@rfdetr/torch").Tensor;
  const outputs: import("rfdetr/model").Outputs;
  const targets: import("rfdetr/data").Target[];
  const criterion: import("rfdetr/loss").Criterion;
  const loss: import("@rfdetr/torch").Tensor;
  const lossOf: (outputs: import("rfdetr/model").Outputs) => import("@rfdetr/torch").Tensor;
  const step: () => void;
  const group: import("@rfdetr/torch").distributed.ProcessGroup;
  const graph: import("rfdetr/export").Graph;
  const detector: import("rfdetr").RFDETR;
  const pictures: AsyncIterable<string>;
}
export {};
`;

/** An example with imports of the exports that it uses without saying so. */
function withImports(body) {
  const names = new Map(
    // The first that has a name goes before the others: `RFDETR` is that of rfdetr, not that of the browser.
    subpaths()
      .flatMap(({ specifier, exports }) =>
        [...exports.keys()].map((name) => /** @type {[string, string]} */ ([name, specifier])),
      )
      .reverse(),
  );
  const code = body.replace(/"[^"]*"|\/\/.*/g, "");
  const used = new Set([...code.matchAll(/(?<![.\w])[A-Za-z]\w*/g)].map(([word]) => word));
  const declared = [...code.matchAll(/\b(?:import|const|let|class|function)\b\s*(?:\{([^}]*)\}|(\w+))/g)];
  const own = new Set(
    declared.flatMap(([, list, name]) => name ?? list.split(",").map((part) => part.replace(/^.*:/, "").trim())),
  );
  return [...names]
    .filter(([name]) => used.has(name) && !own.has(name))
    .map(([name, specifier]) => `import { ${name} } from "${specifier}";\n`)
    .concat(body, "\nexport {};\n")
    .join("");
}

const target = join(root, "docs/api.md");
const { page, bare, examples } = make();
if (process.argv.includes("--check")) {
  const programs = examples.map(({ name, body }) => ({ name, code: withImports(body) }));
  const wrong = [...bare.map((name) => `${name} has no comment`), ...compile("examples", programs, given).errors];
  if (readFileSync(target, "utf8") !== page)
    wrong.push("docs/api.md is out of date: run npm run build && node tools/generate/api.mjs");
  for (const line of wrong) console.error(line);
  if (wrong.length > 0) process.exitCode = 1;
} else {
  writeFileSync(target, page);
  console.log(
    `docs/api.md: ${page.split("\n").length} lines, ${examples.length} examples; without a comment: ${bare.join(", ") || "none"}`,
  );
}
