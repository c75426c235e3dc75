// @ts-check
// Finds the texts of a program that its users may meet.
import { parseSync, Visitor } from "oxc-parser";
import { lineAt } from "./repository.mjs";

/**
 * A `part` is what the class of the error puts its own words before.
 * @typedef {{path: string, line: number, kind: "error" | "part" | "console" | "help" | "text", text: string}} Message
 * @typedef {import("./repository.mjs").File} File
 */

const printing = /^(console\.\w+|say|log|warn|write|process\.(stdout|stderr)\.write|process\.emitWarning)$/;
const helping = /\.(description|summary|usage|option|requiredOption|argument|addHelpText)$/;

/** @param {any} node @returns {string} `a.b` for what is called */
const called = (node) =>
  node?.type === "MemberExpression"
    ? `${called(node.object)}.${node.property.name ?? ""}`
    : (node?.name ?? (node?.type === "Super" ? "super" : ""));

/**
 * The messages that an expression can be; `…` stands for what is put in.
 * @param {any} node
 * @returns {{text: string, leaves: any[]}[]}
 */
function wordings(node) {
  switch (node?.type) {
    case "Literal":
      return typeof node.value === "string" ? [{ text: node.value, leaves: [node] }] : [];
    case "TemplateLiteral":
      return [{ text: node.quasis.map((/** @type {any} */ quasi) => quasi.value.cooked).join("…"), leaves: [node] }];
    case "ConditionalExpression":
      return [...wordings(node.consequent), ...wordings(node.alternate)];
    case "LogicalExpression":
      return [...wordings(node.left), ...wordings(node.right)];
    case "BinaryExpression": {
      const [left, right] = [wordings(node.left), wordings(node.right)];
      if (node.operator !== "+" || left.length + right.length === 0) return [];
      const text = (/** @type {typeof left} */ side) => side.map((part) => part.text).join("|") || "…";
      return [{ text: text(left) + text(right), leaves: [...left, ...right].flatMap((part) => part.leaves) }];
    }
    default:
      return [];
  }
}

/** @param {File} file @param {Record<string, (node: any) => void>} visitor */
const visit = ({ path, text }, visitor) => new Visitor(visitor).visit(parseSync(path, text).program);

/** @param {File[]} files @returns {Set<string>} classes of errors that put words of their own before the message */
function composing(files) {
  /** @type {Set<string>} */
  const names = new Set();
  for (const file of files.filter(({ text }) => /class \w*Error\b/.test(text))) {
    let name = "";
    visit(file, {
      ClassDeclaration: (node) => void (name = node.id?.name ?? ""),
      CallExpression: (node) => {
        if (
          called(node.callee) === "super" &&
          name.endsWith("Error") &&
          node.arguments.some((/** @type {any} */ a) => wordings(a).length > 0)
        )
          names.add(name);
      },
    });
  }
  return names;
}

/** @param {File} file @param {Set<string>} composed @returns {Message[]} */
function messagesOfScript(file, composed) {
  const { path, text } = file;
  /** @type {Message[]} */
  const found = [];
  const taken = new Set();
  let parent = "";
  const take = (/** @type {Message["kind"]} */ kind, /** @type {any} */ node) => {
    for (const wording of wordings(node)) {
      // A single word is a code, a key or a name.
      if (wording.leaves.some((leaf) => taken.has(leaf.start))) continue;
      if (!/\p{L}.*[\s…].*\p{L}/su.test(wording.text)) continue;
      for (const leaf of wording.leaves) taken.add(leaf.start);
      found.push({ path, line: lineAt(text, node.start), kind, text: wording.text });
    }
  };
  /** @param {Message["kind"]} kind */
  const takeAll = (kind) => (/** @type {any} */ node) => take(kind, node);
  visit(file, {
    ClassDeclaration: (node) => void (parent = called(node.superClass)),
    NewExpression: (node) => {
      const name = called(node.callee);
      if (/Error$/.test(name)) node.arguments.forEach(takeAll(composed.has(name) ? "part" : "error"));
    },
    ThrowStatement: (node) => {
      if (node.argument.type === "CallExpression") node.argument.arguments.forEach(takeAll("error"));
    },
    CallExpression: (node) => {
      const name = called(node.callee);
      if (name === "super" && /Error$/.test(parent))
        node.arguments.forEach(takeAll(composed.has(parent) ? "part" : "error"));
      if (printing.test(name)) node.arguments.forEach(takeAll("console"));
      if (helping.test(name)) node.arguments.forEach(takeAll("help"));
    },
    BinaryExpression: (node) => isProse(node) && take("text", node),
    TemplateLiteral: (node) => isProse(node) && take("text", node),
    Literal: (node) => isProse(node) && take("text", node),
  });
  return found;
}

/** @param {any} node three words or more, and no path, pattern or code */
const isProse = (node) => wordings(node).some(({ text }) => /(\p{L}{2,}[,:;]? ){2}/u.test(text));

const cppError = /\b(?:TORCH_CHECK\w*|throw std::\w+|napi_throw_error|throw_error)\s*\((?:[^";]|"(?:[^"\\]|\\.)*")*;/g;

/** @param {File} file @returns {Message[]} */
function messagesOfCpp({ path, text }) {
  return [...text.matchAll(cppError)].flatMap((statement) => {
    const strings = [...statement[0].matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((string) => string[1]);
    const said = strings.filter((string) => /\s/.test(string)).join("…");
    return said === "" ? [] : [{ path, line: lineAt(text, statement.index), kind: "error", text: said }];
  });
}

/** @param {File[]} files @returns {Message[]} */
export function messages(files) {
  const scripts = files.filter(({ path }) => /\.(ts|mjs)$/.test(path));
  const composed = composing(scripts);
  const found = files.flatMap((file) =>
    scripts.includes(file) ? messagesOfScript(file, composed) : messagesOfCpp(file),
  );
  return found.sort((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1));
}
