// @ts-check
// Where functions begin and end, in the three languages of this repository.
import { parseSync, Visitor } from "oxc-parser";
import { lineAt } from "./repository.mjs";

/** @typedef {{name: string, line: number, lines: number}} FunctionSize */

/** @param {import("./repository.mjs").File} file @returns {FunctionSize[]} */
export function functions(file) {
  if (/\.(ts|mjs|js)$/.test(file.path)) return functionsOfScript(file);
  if (/\.(cc|h)$/.test(file.path)) return functionsOfCpp(file.text);
  return file.path.endsWith(".py") ? functionsOfPython(file.text) : [];
}

/** @param {import("./repository.mjs").File} file @returns {FunctionSize[]} */
function functionsOfScript({ path, text }) {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`Could not parse ${path}: ${errors[0].message}`);
  /** @type {FunctionSize[]} */
  const found = [];
  /** @type {Map<number, string>} names that the syntax around a function gives it, by where the function begins */
  const names = new Map();
  const named = (/** @type {any} */ key, /** @type {any} */ value) => {
    if (value && key) names.set(value.start, key.name ?? String(key.value ?? "anonymous"));
  };
  const measure = (/** @type {any} */ node) => {
    const line = lineAt(text, node.start);
    const name = node.id?.name ?? names.get(node.start) ?? "anonymous";
    found.push({ name, line, lines: lineAt(text, node.end) - line + 1 });
  };
  new Visitor({
    VariableDeclarator: (node) => named(node.id, node.init),
    MethodDefinition: (node) => named(node.key, node.value),
    Property: (node) => named(node.key, node.value),
    PropertyDefinition: (node) => named(node.key, node.value),
    FunctionDeclaration: measure,
    FunctionExpression: measure,
    ArrowFunctionExpression: measure,
  }).visit(program);
  return found;
}

const indentOf = (/** @type {string} */ line) => line.length - line.trimStart().length;

/**
 * As clang-format leaves them: a function ends with a brace in the column where its signature began. A method of a
 * class stands two columns in; whatever else ends there is a block inside a function, or a type.
 * @param {string} text
 * @returns {FunctionSize[]}
 */
function functionsOfCpp(text) {
  const lines = text.split("\n");
  /** @type {FunctionSize[]} */
  const found = [];
  lines.forEach((line, end) => {
    const close = /^( {0,2})\};?$/.exec(line);
    if (close === null) return;
    let start = end - 1;
    while (
      start >= 0 &&
      (lines[start].trim() === "" || indentOf(lines[start]) > close[1].length || /^\s*[#}]/.test(lines[start]))
    )
      start--;
    const signature = lines[start]?.trim() ?? "";
    const name = /([\w~:]+)\s*\(/.exec(signature)?.[1];
    const other = /^(if|for|while|switch|do|else|try|catch|struct|class|enum|union|namespace|extern)\b/;
    if (name !== undefined && !other.test(signature) && !/^(const )?auto\b.*=/.test(signature))
      found.push({ name, line: start + 1, lines: end - start + 1 });
  });
  return found;
}

/** @param {string} text @returns {FunctionSize[]} */
function functionsOfPython(text) {
  const lines = text.split("\n");
  return lines.flatMap((line, start) => {
    const name = /^\s*(?:async )?def (\w+)/.exec(line)?.[1];
    if (name === undefined) return [];
    let end = start;
    for (let next = start + 1; next < lines.length; next++) {
      if (lines[next].trim() === "") continue;
      if (indentOf(lines[next]) <= indentOf(line) && !/^\s*\)/.test(lines[next])) break;
      end = next;
    }
    return [{ name, line: start + 1, lines: end - start + 1 }];
  });
}
