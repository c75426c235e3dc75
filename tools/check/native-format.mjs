#!/usr/bin/env node
// @ts-check
// The C++ files as clang-format formats them. It comes as an npm package in WebAssembly, so that every machine has the
// same version.
//
//   node tools/check/native-format.mjs           fails where a file is not formatted
//   node tools/check/native-format.mjs --write   formats
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { format } from "@wasm-fmt/clang-format";
import { isMain, read, report, root, written } from "./repository.mjs";

/** @typedef {import("./repository.mjs").File} File */

/**
 * @param {File[]} files
 * @param {string} style text of a .clang-format file
 * @returns {File[]} those that change, formatted
 */
export function unformatted(files, style) {
  const formatted = files.map(({ path, text }) => ({ path, text: format(text, path, style) }));
  return formatted.filter(({ text }, i) => text !== files[i].text);
}

if (isMain(import.meta.url)) {
  const found = unformatted(written(/\.(cc|h)$/), read(".clang-format").text);
  if (process.argv.includes("--write")) for (const { path, text } of found) writeFileSync(join(root, path), text);
  else
    report(
      "native-format",
      found.map(({ path }) => `${path}: not formatted (npm run format)`),
    );
}
