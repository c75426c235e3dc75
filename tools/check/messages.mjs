#!/usr/bin/env node
// @ts-check
// Every text that a user may meet, with its place, so that all can be read in one sitting.
//
//   node tools/check/messages.mjs           prints them: errors, lines of the console, help, other prose
//   node tools/check/messages.mjs --check   holds the rules of their form
import { isMain, isTest, report, written } from "./repository.mjs";
import { messages } from "./texts.mjs";

/** Names that stay as they are at the beginning of a sentence. */
const begins = /^([\p{Lu}\d…"'`]|libtorch\b)/u;
/** Texts of C++ stand inside the message of an OperatorError. */
const isNative = (/** @type {string} */ path) => /\.(cc|h)$/.test(path);
const knowsFlags = (/** @type {string} */ path) => /(^|\/)(cli|bin|setup)\//.test(path);

/** @param {import("./repository.mjs").File[]} files @returns {string[]} */
export function breaches(files) {
  return messages(files).flatMap(({ path, line, kind, text }) => {
    /** @type {string[]} */
    const wrong = [];
    if (kind === "error" || kind === "part") {
      if (/[^.]\.$/.test(text)) wrong.push("ends in a full stop");
      if (/\S {2,}\S/.test(text)) wrong.push("has two spaces in a row");
    }
    if (kind === "error" && !isNative(path) && !begins.test(text))
      wrong.push("does not start with a capital letter or a name in quotes");
    if (!knowsFlags(path) && /(^|[\s"'`(])--[a-z]/.test(text))
      wrong.push("names an option of the command in library code");
    return wrong.map((what) => `${path}:${line}: ${what}: ${JSON.stringify(text)}`);
  });
}

if (isMain(import.meta.url)) {
  const files = written(/\.(ts|mjs|cc|h)$/).filter(
    ({ path }) => /^packages\/|\/setup\//.test(path) && !isTest(path) && !/\/bench\//.test(path),
  );
  if (process.argv.includes("--check")) report("messages", breaches(files));
  else
    for (const { path, line, kind, text } of messages(files))
      console.log(`${path}:${line}: ${kind}: ${text.replaceAll("\n", "\\n")}`);
}
