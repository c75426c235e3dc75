#!/usr/bin/env node
// @ts-check
// Writes packages/torch/src/ops.generated.ts: a typed function for every public operator, from libtorch's own schemas.
//
//   node tools/generate/ops.mjs            write the file
//   node tools/generate/ops.mjs --check    exit 1 when the file differs from what this libtorch gives
//
// Arguments of a schema without a default are positional; all others go into one object of options, in camelCase.
// Overloads of an operator become overloads of the function, which picks one by the types of what was passed.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const native = createRequire(import.meta.url)(`${root}packages/torch/build/torch.node`);
const target = `${root}packages/torch/src/ops.generated.ts`;

/** Private operators (leading underscore) that this project calls. */
const privateFamilies = ["foreach_", "amp_foreach_", "fused_adamw?_", "upsample_\\w+2d_aa$", "scaled_dot_product_"];
const privateOnes = ["to_copy$", "softmax$", "log_softmax$", "unsafe_view$", "cdist_forward$"];
const privateOperators = new RegExp(`^_(${[...privateFamilies, ...privateOnes].join("|")})`);
const reserved = new Set(
  "var delete default function in new switch this typeof void with import export class enum eval arguments".split(" "),
);

const scalarTypes = {
  Tensor: "Tensor",
  Scalar: "number",
  int: "number",
  SymInt: "number",
  float: "number",
  bool: "boolean",
  SymBool: "boolean",
  str: "string",
  ScalarType: "DType",
  Device: "string",
  Layout: "Layout",
  MemoryFormat: "MemoryFormat",
  Generator: "number",
};
const listTypes = {
  "Tensor[]": "readonly Tensor[]",
  "Tensor?[]": "readonly (Tensor | null)[]",
  "Scalar[]": "readonly number[]",
  "int[]": "readonly number[]",
  "SymInt[]": "readonly number[]",
  "float[]": "readonly number[]",
  "bool[]": "readonly boolean[]",
};

const camel = (name) => name.replace(/(?<=[a-zA-Z0-9])_+([a-zA-Z0-9])/g, (_, c) => c.toUpperCase());
const safe = (name) => (reserved.has(name) ? `${name}_` : name);

/** Splits at commas outside of brackets and quotes. */
function split(text) {
  const parts = [];
  let depth = 0;
  let quote = "";
  let part = "";
  for (const c of text) {
    if (quote) quote = c === quote ? "" : quote;
    else if (c === '"' || c === "'") quote = c;
    else if ("([".includes(c)) depth++;
    else if (")]".includes(c)) depth--;
    if (c === "," && depth === 0 && !quote) {
      parts.push(part.trim());
      part = "";
    } else part += c;
  }
  if (part.trim()) parts.push(part.trim());
  return parts;
}

function parseType(text) {
  let type = text.replace(/\([a-z!|>* -]*\)/g, "");
  const optional = type.endsWith("?");
  if (optional) type = type.slice(0, -1);
  const sized = /\[\d+\]$/.test(type);
  type = type.replace(/\[\d+\]$/, "[]");
  const ts = scalarTypes[type] ?? listTypes[type];
  return ts && { type, optional, sized, ts: sized && ts === "readonly number[]" ? "number | readonly number[]" : ts };
}

/** The TypeScript type of an operator's result; null when it has none. */
function parseResult(text) {
  const inner = text.startsWith("(") ? split(text.slice(1, -1)) : [text];
  const types = inner.map((part) => {
    const type = part.replace(/\([a-z!|>* -]*\)/g, "").replace(/ \w+$/, "");
    return {
      Tensor: "Tensor",
      "Tensor[]": "Tensor[]",
      int: "number",
      SymInt: "number",
      Scalar: "number",
      float: "number",
      bool: "boolean",
      str: "string",
      ScalarType: "number",
    }[type];
  });
  if (types.includes(undefined)) return null;
  return types.length === 0 ? "void" : types.length === 1 ? types[0] : `[${types.join(", ")}]`;
}

function parse(schema) {
  const parts = /^(\w+)::(\w+)(?:\.(\w+))?\((.*)\) -> (.*)$/s.exec(schema) ?? [];
  const [, namespace, base, overload = "", argumentText, resultText] = parts;
  if (namespace !== "aten" && namespace !== "rfdetr") return null;
  if (namespace === "rfdetr" && atenNames.has(base)) return null; // called by its full name
  if (
    namespace === "aten" &&
    ((base.startsWith("_") && !privateOperators.test(base)) ||
      base.startsWith("__") ||
      /_backward|_jvp|_for_/.test(base))
  )
    return null;
  const list = [];
  let keywordOnly = false;
  for (const part of split(argumentText)) {
    if (part === "*") {
      keywordOnly = true;
      continue;
    }
    const [, typeText, name, , fallback] = /^(.+) (\w+)(=(.*))?$/s.exec(part) ?? [];
    if (keywordOnly && typeText?.includes("!")) return null;
    const type = typeText && parseType(typeText);
    if (!type) return null;
    list.push({ ...type, name: camel(name), positional: fallback === undefined });
  }
  const result = parseResult(resultText.trim());
  return result && { namespace, base, overload, list, result, schema };
}

/** JavaScript that tests whether `value` is of an argument's type. */
function test(argument, value) {
  const kinds = {
    Tensor: `isTensor(${value})`,
    "Tensor[]": `isTensors(${value})`,
    "Tensor?[]": `isTensors(${value})`,
    bool: `typeof ${value} === "boolean"`,
    SymBool: `typeof ${value} === "boolean"`,
    str: `typeof ${value} === "string"`,
    ScalarType: `typeof ${value} === "string"`,
    Device: `typeof ${value} === "string"`,
    Layout: `typeof ${value} === "string"`,
    MemoryFormat: `typeof ${value} === "string"`,
  };
  const numbers = argument.type.endsWith("[]")
    ? argument.sized
      ? `(typeof ${value} === "number" || isNumbers(${value}))`
      : `isNumbers(${value})`
    : `typeof ${value} === "number"`;
  const kind = kinds[argument.type] ?? numbers;
  return argument.optional ? `(${value} == null || ${kind})` : kind;
}

const family = (argument) =>
  (argument.type === "Tensor" || argument.type === "Tensor[]" || argument.type === "Tensor?[]"
    ? argument.type
    : argument.ts) + (argument.optional ? "?" : "");
const positional = (overload) => overload.list.filter((argument) => argument.positional);
const optional = (overload) => overload.list.filter((argument) => !argument.positional);
const rank = (overload) =>
  positional(overload)
    .map((a) => (a.type === "Tensor" ? "0" : a.type.endsWith("[]") ? "1" : "2"))
    .join("");

function signature(name, overload, keyword = "export function") {
  const parameters = positional(overload).map((a) => `${safe(a.name)}: ${a.ts}${a.optional ? " | null" : ""}`);
  const options = optional(overload).map((a) => `${a.name}?: ${a.ts}${a.optional ? " | null" : ""}`);
  if (options.length) parameters.push(`options?: { ${options.join("; ")} }`);
  return `${keyword} ${name}(${parameters.join(", ")}): ${overload.result}`;
}

const constant = (overload) => `${camel(overload.base)}$${overload.overload || "_"}`;

function passed(overload, names) {
  return `[${overload.list.map((a) => (a.positional ? names.get(a) : `o.${a.name}`)).join(", ")}]`;
}

/** `dispatch(add$Tensor, [self, other, o.alpha])` */
const dispatching = (overload, names) => `dispatch(${constant(overload)}, ${passed(overload, names)})`;

/** The function of an operator with one overload. */
function emitOne(name, only) {
  const names = new Map(positional(only).map((a) => [a, safe(a.name)]));
  const head = signature(name, only)
    .replace("options?: {", "o: {")
    .replace(/ \}\): /, " } = {}): ");
  const call = dispatching(only, names);
  return [`${head} {`, only.result === "void" ? `  ${call};` : `  return ${call} as ${only.result};`, "}"];
}

/** JavaScript that tells a call of an overload from calls of those after it. */
function conditions(overload, later) {
  const own = positional(overload);
  const sameLength = later.filter((other) => positional(other).length === own.length);
  const found = sameLength.length < later.length ? [`a.length === ${own.length}`] : [];
  own.forEach((argument, i) => {
    if (sameLength.some((other) => family(positional(other)[i]) !== family(argument)))
      found.push(test(argument, `a[${i}]`));
  });
  const twins = sameLength.filter((other) => positional(other).every((a, i) => family(a) === family(own[i])));
  if (twins.length === 0) return found;
  found.push(`only(o, ${JSON.stringify(optional(overload).map((a) => a.name))})`);
  const differs = (argument) => (a) => a.name === argument.name && family(a) !== family(argument);
  for (const argument of optional(overload))
    if (twins.some((other) => optional(other).some(differs(argument))))
      found.push(`(o.${argument.name} === undefined || ${test(argument, `o.${argument.name}`)})`);
  return found;
}

/** The function of an operator with several overloads, which picks one by what was passed. */
function emitOverloads(name, overloads) {
  const lines = overloads.map((overload) => `${signature(name, overload)};`);
  lines.push(`export function ${name}(...a: unknown[]): unknown {`, "  const o = takeOptions(a);");
  overloads.forEach((overload, index) => {
    const names = new Map(positional(overload).map((a, i) => [a, `a[${i}]`]));
    const call = `return ${dispatching(overload, names)};`;
    const later = overloads.slice(index + 1);
    const test = conditions(overload, later).join(" && ") || "true";
    lines.push(later.length === 0 ? `  ${call}` : `  if (${test}) ${call}`);
  });
  lines.push("}");
  return lines;
}

function emit(base, overloads) {
  const exported = camel(base);
  const name = safe(exported);
  const operators = overloads.map(
    (o) => `const ${constant(o)} = operator("${o.namespace}::${o.base}", "${o.overload}");`,
  );
  const docs = `/** ${overloads.map((o) => `\`${o.schema.replace(/\*\//g, "* /")}\``).join("  \n * ")} */`;
  const body = overloads.length === 1 ? emitOne(name, overloads[0]) : emitOverloads(name, overloads);
  const renamed = name === exported ? [] : [`export { ${name} as ${exported} };`];
  return [...operators, docs, ...body, ...renamed].join("\n");
}

const groups = new Map();
const schemas = native.schemas().sort();
const atenNames = new Set(schemas.flatMap((schema) => /^aten::(\w+)/.exec(schema)?.[1] ?? []));
for (const schema of schemas) {
  const overload = parse(schema);
  if (!overload) continue;
  const key = overload.base;
  if (!groups.has(key)) groups.set(key, []);
  groups.get(key).push(overload);
}
const bodies = [...groups].map(([base, overloads]) =>
  emit(
    base,
    overloads.sort(
      (a, b) =>
        positional(a).length - positional(b).length ||
        (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0) ||
        (a.overload < b.overload ? -1 : 1),
    ),
  ),
);

const version = native.engineVersion();
const text = `// Generated by tools/generate/ops.mjs from the schemas of libtorch ${version}. Do not edit.
import { dispatch, operator } from "./dispatch.js";
import type { DType } from "./dtype.js";
import { Tensor } from "./tensor.js";

export type Layout = "strided" | "sparse_coo";
export type MemoryFormat = "contiguous_format" | "preserve_format" | "channels_last";
type Options = Record<string, unknown>;

const none: Options = {};
const isTensor = (value: unknown): value is Tensor => value instanceof Tensor;
const isTensors = (value: unknown): boolean => Array.isArray(value) && (value.length === 0 || value.some(isTensor));
const isNumbers = (value: unknown): boolean =>
  Array.isArray(value) && (value.length === 0 || typeof value[0] === "number");
const only = (options: Options, keys: string[]): boolean =>
  Object.keys(options).every((key) => keys.includes(key) || options[key] === undefined);

/** Takes the options off the end of the arguments, if there are any. */
function takeOptions(args: unknown[]): Options {
  const last = args[args.length - 1];
  if (typeof last !== "object" || last === null || Array.isArray(last) || last instanceof Tensor) {
    if (last === undefined && args.length > 0) args.pop();
    return none;
  }
  args.pop();
  return last as Options;
}

${bodies.join("\n\n")}
`;

if (process.argv.includes("--check")) {
  if (readFileSync(target, "utf8") !== text) {
    console.error("ops.generated.ts does not match the schemas of this libtorch: run node tools/generate/ops.mjs");
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
  console.error(`${groups.size} operators, ${text.split("\n").length} lines`);
}
