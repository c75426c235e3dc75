// @ts-check
// The code blocks of the documents, and what the documents say about them.
//
// A comment before a block, which no reader of the page sees, says why it is not run, or only checked for its types:
//
//   <!-- not run: needs a GPU -->
//   <!-- types only: runs in a browser -->
import { written } from "../check/repository.mjs";

/**
 * @typedef {{path: string, line: number, language: string, code: string, held: Held | null}} Block `line` of the fence
 * @typedef {{kind: "not run" | "types only", reason: string}} Held why a block is not run
 */

/** The file that a block is, by its first line: `// plateau.mjs`. Blocks after it find it. */
export const fileOf = (/** @type {Block} */ { code }) =>
  /^(?:\/\/|#) ([\w-]+\.(?:m?js|json|ya?ml))\b/.exec(code)?.[1] ?? null;

/** Languages of programs. Anything else, such as JSON or a drawing, is only read. */
export const isShell = (/** @type {Block} */ { language }) => ["sh", "bash"].includes(language);
export const isScript = (/** @type {Block} */ { language }) => ["ts", "js"].includes(language);

/** @param {{path: string, text: string}} document @returns {Block[]} */
export function blocksOf({ path, text }) {
  /** @type {Block[]} */
  const blocks = [];
  /** @type {Block | null} */
  let open = null;
  /** @type {Held | null} */
  let held = null;
  for (const [i, line] of text.split("\n").entries()) {
    const fence = /^\s*```(\S*)/.exec(line);
    if (fence !== null && open === null) {
      open = { path, line: i + 1, language: fence[1], code: "", held };
      blocks.push(open);
    } else if (fence !== null) [open, held] = [null, null];
    else if (open !== null) open.code += `${line}\n`;
    else if (line.trim() !== "") {
      const [, kind, reason] = /^<!-- (not run|types only): (.+) -->$/.exec(line) ?? [];
      held = kind === undefined ? null : { kind: /** @type {Held["kind"]} */ (kind), reason };
    }
  }
  return blocks;
}

/** Pages whose blocks are run. The page of the interface has its own check of its examples. */
export const documents = () => written(/\.md$/).filter(({ path }) => !["CHANGELOG.md", "docs/api.md"].includes(path));
