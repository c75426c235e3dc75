// The C++ files of the addon: what each includes, and which of them one run of the compiler takes together.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

/** @param {string} folder @returns {string[]} */
export function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(join(folder, entry.name)) : [join(folder, entry.name)]))
    .sort();
}

/**
 * Flags that a file asks for itself in its first line, `// compile: …`: its code is only run on CPUs that have them.
 * @param {string} text of the file
 * @internal for tests
 */
export const ownFlags = (text) =>
  /^\/\/ compile: (.*)$/m.exec(text.slice(0, text.indexOf("\n") + 1))?.[1].split(/\s+/) ?? [];

/**
 * A file and all headers of this project that it includes, directly or not.
 * @param {string} file @param {string[]} folders where headers are looked for, after the folder of the file itself
 * @param {Set<string>} [seen]
 * @internal for tests
 */
export function withHeaders(file, folders, seen = new Set()) {
  seen.add(file);
  for (const [, name] of readFileSync(file, "utf8").matchAll(/^\s*#\s*include\s*"(.+)"/gm)) {
    const header = [dirname(file), ...folders].map((folder) => join(folder, name)).find((path) => existsSync(path));
    if (header !== undefined && !seen.has(header)) withHeaders(header, folders, seen);
  }
  return seen;
}

/** Headers that a file includes from elsewhere. @param {string} file */
const foreignHeaders = (file) =>
  [...readFileSync(file, "utf8").matchAll(/^\s*#\s*include\s*<(.+)>/gm)].map(([, name]) => name);

/**
 * What one run of the compiler takes.
 * @typedef {{sources: string[], flags: string[], usesLibtorch: boolean}} Unit
 */

/**
 * Files that are compiled as one, at most. Each unit parses the headers of libtorch, which takes as long as compiling
 * four of its files. More files together make the first set-up faster, and a change of one of them slower.
 * @internal for tests
 */
export const mostTogether = 9;

/**
 * Files that use libtorch are compiled together if they are in one folder and have the same flags; every other one
 * alone. Names outside of functions must differ within a unit.
 * @param {string[]} sources @param {string} native their folder
 * @returns {Unit[]} the largest first, so that no core is left with one of them at the end
 */
export function unitsOf(sources, native) {
  const alone = sources.map((source) => {
    const foreign = [...withHeaders(source, [native])].flatMap(foreignHeaders);
    return {
      sources: [source],
      flags: ownFlags(readFileSync(source, "utf8")),
      usesLibtorch: foreign.some((name) => /^(ATen|c10|torch)\//.test(name)),
    };
  });
  /** @type {Map<string, Unit[]>} */
  const alike = new Map();
  for (const unit of alone.filter((unit) => unit.usesLibtorch)) {
    const key = [dirname(unit.sources[0]), ...unit.flags].join(" ");
    alike.set(key, [...(alike.get(key) ?? []), unit]);
  }
  const together = [...alike.values()].flatMap((units) => {
    const count = Math.ceil(units.length / mostTogether);
    const from = (/** @type {number} */ i) => Math.floor((i * units.length) / count);
    return Array.from({ length: count }, (_, i) => ({
      ...units[0],
      sources: units.slice(from(i), from(i + 1)).flatMap((unit) => unit.sources),
    }));
  });
  const size = (/** @type {Unit} */ unit) =>
    [...filesOf(unit, native)].reduce((sum, file) => sum + statSync(file).size, 0);
  return [...alone.filter((unit) => !unit.usesLibtorch), ...together].sort((a, b) => size(b) - size(a));
}

/** A unit's files, and the headers of this project that they include. @param {Unit} unit @param {string} native */
function filesOf({ sources }, native) {
  /** @type {Set<string>} */
  const files = new Set();
  for (const source of sources) withHeaders(source, [native], files);
  return files;
}

/** Hashes of them. @param {Unit} unit @param {string} native */
export const hashesOf = (unit, native) =>
  new Map(
    [...filesOf(unit, native)].map((file) => [file, createHash("sha256").update(readFileSync(file)).digest("hex")]),
  );
