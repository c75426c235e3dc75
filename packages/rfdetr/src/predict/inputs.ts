// Resolves images, folders and patterns to files.
import { readdirSync, statSync } from "node:fs";
import { extname, join, sep } from "node:path";
import { imageExtensions } from "../data/images/image-kinds.js";
import { DataError } from "../support/errors.js";

const isImage = (path: string) => imageExtensions.has(extname(path).toLowerCase());

/**
 * Resolves files, folders (the images directly inside) and patterns (`*`, `?`, and `**` for folders of any depth).
 * Inputs keep their order, the files of each are sorted, and no file comes twice.
 * @throws DataError naming the input that leads to no image
 */
export function imageFiles(inputs: readonly string[]): string[] {
  const found = new Set<string>();
  for (const input of inputs) {
    const files = resolveOne(input);
    if (files.length === 0) throw new DataError(`Expected images but found none in ${input}`);
    for (const file of files) found.add(file);
  }
  return [...found];
}

function resolveOne(input: string): string[] {
  const stat = statSync(input, { throwIfNoEntry: false });
  if (stat?.isDirectory())
    return readdirSync(input)
      .filter(isImage)
      .sort()
      .map((name) => join(input, name));
  if (stat !== undefined) return [input];
  if (!/[*?]/.test(input)) throw new DataError(`Expected an image, a folder or a pattern but ${input} does not exist`);
  const parts = input.split(/[\\/]/);
  const fixed = parts.findIndex((part) => /[*?]/.test(part));
  const root = parts.slice(0, fixed).join(sep);
  const start = root === "" ? (input.startsWith("/") ? "/" : ".") : root;
  const matches = walk(start, parts.slice(fixed)).filter(isImage).sort();
  return root === "" && start === "." ? matches.map((path) => path.replace(/^\.[\\/]/, "")) : matches;
}

function walk(folder: string, [part, ...rest]: readonly string[]): string[] {
  const entries = statSync(folder, { throwIfNoEntry: false })?.isDirectory()
    ? readdirSync(folder, { withFileTypes: true })
    : [];
  if (part === "**") {
    const below = entries
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) => walk(join(folder, entry.name), ["**", ...rest]));
    return [
      ...(rest.length === 0
        ? entries.filter((entry) => entry.isFile()).map((entry) => join(folder, entry.name))
        : walk(folder, rest)),
      ...below,
    ];
  }
  const pattern = new RegExp(
    `^${part
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replaceAll("*", ".*")
      .replaceAll("?", ".")}$`,
  );
  const fitting = entries.filter((entry) => pattern.test(entry.name));
  if (rest.length === 0) return fitting.filter((entry) => entry.isFile()).map((entry) => join(folder, entry.name));
  return fitting.filter((entry) => entry.isDirectory()).flatMap((entry) => walk(join(folder, entry.name), rest));
}
