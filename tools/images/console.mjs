#!/usr/bin/env node
// @ts-check
// Draws a session of the command on a terminal as an SVG picture, which plays once and stays at its end:
//
//   node tools/images/console.mjs                                  docs/images/console.svg, after a short training
//   node tools/images/console.mjs --recording FILE --out PICTURE   a session that `script` has recorded
//
// The training runs in a pseudo-terminal (`script` of util-linux), and a terminal emulator reads what it wrote. In
// float16 the first loss scale is usually too high, so that the picture shows skipped steps.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import xterm from "@xterm/headless";
import { escapeXml } from "rfdetr/support";
import { isMain, root } from "../check/repository.mjs";
import { quickSettings } from "./shared.mjs";

const columns = 112;
/** The session: images to learn from, and the training. */
const images = "--images 300 --size 96 --classes 3".split(" ");
const training = "train --data emoji --model tiny --config quick.json --epochs 10 --precision 16-mixed --seed 3".split(
  " ",
);
/** Moments that are shown before the last, and the seconds that they take together. */
const moments = 36;
const seconds = 9;
/** Pixels of a character, of a row, of the letters, around the screen, and of the bar of the window. */
const size = { character: 8.4, row: 20, font: 14, edge: 20, bar: 34 };
const colours = { text: "#d4d7dd", dim: "#8b929d", background: "#14171c", bar: "#20242b", prompt: "#6fb3f2" };
/** Of the sixteen colours of a terminal those that the command uses. */
const palette = new Map([
  [1, "#f0716b"],
  [2, "#7fc97a"],
  [3, "#e3b74f"],
]);

/**
 * Trains in a pseudo-terminal.
 * @returns {string} what was written to it
 */
function record() {
  const folder = mkdtempSync(join(tmpdir(), "console-"));
  const command = [process.execPath, join(root, "packages/rfdetr/bin/rfdetr.mjs")];
  const run = { cwd: folder, stdio: /** @type {const} */ ("ignore") };
  try {
    const [program, ...synth] = [...command, "data", "synth", "emoji", ...images];
    execFileSync(program, synth, run);
    writeFileSync(join(folder, "quick.json"), JSON.stringify(quickSettings));
    const line = [...command, ...training].map((word) => `'${word}'`).join(" ");
    const file = join(folder, "session");
    // As npx starts it, so that the commands that it prints begin with npx.
    const env = { ...process.env, TERM: "xterm-256color", CI: "", NO_COLOR: "", npm_command: "exec" };
    execFileSync("script", ["-qec", `stty cols ${columns} rows 50; ${line}`, file], { ...run, env });
    return readFileSync(file, "utf8");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Words of one look with a space between them, and the column of the first.
 * @typedef {{ text: string, at: number, columns: number, bold: boolean, dim: boolean, colour: number }} Piece
 */

/**
 * The screen at some moments, the last of them at the end of the session.
 * @internal for tests
 * @param {string} recording
 * @returns {Promise<Piece[][][]>} rows of pieces, by moment
 */
export async function screensOf(recording) {
  const terminal = new xterm.Terminal({ cols: columns, rows: 60, allowProposedApi: true });
  const session = recording.replace(/^Script started.*\r?\n/, "").replace(/\r?\nScript done.*\s*$/, "");
  // So ends what the command writes to draw its live line.
  const lines = session.split("\x1b[J\r").map((line, i, all) => (i < all.length - 1 ? `${line}\x1b[J\r` : line));
  const every = Math.ceil(lines.length / moments);
  const screens = [];
  for (let i = 0; i < lines.length; i += every) {
    const part = lines.slice(i, i + every).join("");
    await new Promise((resolve) => terminal.write(part, () => resolve(null)));
    const { active } = terminal.buffer;
    screens.push(Array.from({ length: active.length }, (_, y) => piecesOf(active.getLine(y))));
  }
  return screens;
}

/** @param {import("@xterm/headless").IBufferLine | undefined} line */
function piecesOf(line) {
  /** @type {Piece[]} */
  const pieces = [];
  for (let x = 0; line !== undefined && x < line.length; x++) {
    const cell = line.getCell(x);
    const text = cell?.getChars().trim() ?? "";
    if (cell === undefined || text === "") continue;
    const colour = cell.isFgPalette() ? cell.getFgColor() : -1;
    const [bold, dim] = [cell.isBold() !== 0, cell.isDim() !== 0];
    let piece = pieces.at(-1);
    // Viewers make one space of several, so that what stands further away is a piece of its own.
    const gap = piece === undefined ? 0 : x - piece.at - piece.columns;
    if (piece === undefined || gap > 1 || piece.bold !== bold || piece.dim !== dim || piece.colour !== colour) {
      piece = { text: "", at: x, columns: 0, bold, dim, colour };
      pieces.push(piece);
    } else if (gap === 1) piece.text += " ";
    piece.text += text;
    piece.columns = x - piece.at + cell.getWidth();
  }
  return pieces;
}

/**
 * Each row that is seen, once, and at which moments.
 * @param {Piece[][][]} screens
 * @returns {{ row: number, pieces: Piece[], seen: boolean[] }[]}
 */
function rowsOf(screens) {
  const found = new Map();
  for (const [moment, screen] of screens.entries())
    for (const [row, pieces] of screen.entries()) {
      if (pieces.length === 0) continue;
      const key = JSON.stringify([row, pieces]);
      if (!found.has(key)) found.set(key, { row, pieces, seen: screens.map(() => false) });
      found.get(key).seen[moment] = true;
    }
  return [...found.values()];
}

/** @param {number} row */
const baseline = (row) => size.bar + size.edge + row * size.row;

/** @param {number} row @param {Piece} piece */
function drawn(row, { text, at, bold, dim, colour, columns: taken }) {
  const fill = dim ? colours.dim : (palette.get(colour) ?? colours.text);
  // The length holds the columns together where the font of the reader is wider or narrower.
  const place = `x="${(size.edge + at * size.character).toFixed(1)}" y="${baseline(row + 1)}"`;
  const length = `textLength="${(taken * size.character).toFixed(1)}"`;
  return `<text ${place} ${length} fill="${fill}"${bold ? ' font-weight="700"' : ""}>${escapeXml(text)}</text>`;
}

/**
 * The picture of a terminal window.
 * @internal for tests
 * @param {Piece[][][]} screens
 * @param {{ title: string, prompt: string }} about the picture in words, and the command that was typed
 */
export function picture(screens, { title, prompt }) {
  const rows = rowsOf(screens);
  const width = Math.ceil(columns * size.character + 2 * size.edge);
  const height = baseline(Math.max(...rows.map(({ row }) => row)) + 2) + size.edge / 2;
  const groups = rows.map(({ row, pieces, seen }, i) => {
    const changes = seen.flatMap((is, moment) => (moment === 0 || is !== seen[moment - 1] ? [{ is, moment }] : []));
    /** @param {{ is: boolean, moment: number }} change */
    const at = ({ is, moment }) => `${((100 * moment) / seen.length).toFixed(1)}%{opacity:${Number(is)}}`;
    const last = Number(seen.at(-1));
    const moves = changes.length > 1 || !changes[0].is;
    return {
      style: moves
        ? `@keyframes r${i}{${changes.map(at).join("")}100%{opacity:${last}}}#r${i}{animation-name:r${i}}`
        : "",
      text: `<g${moves ? ` id="r${i}"` : ""}${last ? "" : ' opacity="0"'}>${pieces.map((piece) => drawn(row, piece)).join("")}</g>`,
    };
  });
  const dots = ["#f0716b", "#e3b74f", "#7fc97a"].map(
    (fill, i) => `<circle cx="${size.edge + 18 * i}" cy="${size.bar / 2}" r="5.5" fill="${fill}"/>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(title)}">
<title>${escapeXml(title)}</title>
<style>g[id]{animation:${seconds}s step-end 1 both}
${groups.map(({ style }) => style).join("")}
@media (prefers-reduced-motion:reduce){g[id]{animation:none}}</style>
<rect width="${width}" height="${height}" rx="9" fill="${colours.background}"/>
<path d="M0 ${size.bar}V9a9 9 0 0 1 9-9h${width - 18}a9 9 0 0 1 9 9v${size.bar - 9}z" fill="${colours.bar}"/>
${dots.join("")}
<g font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="${size.font}">
<text x="${size.edge}" y="${baseline(0)}" fill="${colours.prompt}">$ ${escapeXml(prompt)}</text>
${groups.map(({ text }) => text).join("\n")}
</g>
</svg>
`;
}

if (isMain(import.meta.url)) {
  const { values } = parseArgs({ options: { recording: { type: "string" }, out: { type: "string" } } });
  const out = values.out ?? join(root, "docs/images/console.svg");
  const recording = values.recording === undefined ? record() : readFileSync(values.recording, "utf8");
  const title = "A training on a terminal: its header, a row an epoch, skipped steps, the result and what to do next";
  writeFileSync(out, picture(await screensOf(recording), { title, prompt: `npx rfdetr ${training.join(" ")}` }));
  console.log(out);
}
