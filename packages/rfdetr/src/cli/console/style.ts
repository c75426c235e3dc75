// Emphasis of text: marked while the text is put together, and turned into colours only where it is written.
import { randomUUID } from "node:crypto";
import { displayWidth } from "@rfdetr/amp/text";
import { plainSpaces, unbroken } from "../../support/format.js";
import { printable } from "./output.js";

/** Stands before the number of a colour until the text is written. No name can hold it, and it prints as nothing. */
const mark = `\ufdd0${randomUUID()}:`;
const marks = new RegExp(`${mark}(\\d+);`, "g");
const style =
  (on: number, off: number) =>
  (text: string): string =>
    text === "" ? "" : `${mark}${on};${text}${mark}${off};`;

export const bold = style(1, 22);
export const dim = style(2, 22);
export const green = style(32, 39);
export const yellow = style(33, 39);
export const red = style(31, 39);

/** Text as it is written: emphasis as escape sequences or as nothing, and no control character of a name. */
export function written(text: string, isColoured: boolean): string {
  return plainSpaces(printable(text)).replace(marks, isColoured ? "\x1b[$1m" : "");
}

/** Columns that text takes in a terminal. */
export const widthOf = (text: string): number => displayWidth(text.replace(marks, ""));

/** Text of at most so many columns: what is longer ends with `…`, and loses its emphasis. */
export function shortened(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let [kept, width] = ["", 0];
  for (const { segment } of new Intl.Segmenter().segment(text.replace(marks, ""))) {
    width += displayWidth(segment);
    if (width > columns - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

/**
 * Prose as lines of fewer than so many columns, broken between words. A longer word, such as a path, stays whole, as
 * does what stands between backticks, and line breaks that are there stay.
 * @param columns null breaks no line
 * @param indent spaces before the lines that a broken one goes on in
 */
export function wrapped(text: string, columns: number | null, indent: number): string {
  if (columns === null) return text;
  return printable(text)
    .split("\n")
    .map((line) => brokenLine(line.replace(/`[^`]+`/g, unbroken).split(" "), columns, indent))
    .join("\n");
}

function brokenLine([first = "", ...words]: readonly string[], columns: number, indent: number): string {
  const lines = [first];
  for (const word of words) {
    const longer = `${lines.at(-1)} ${word}`;
    const before = lines.length > 1 ? indent : 0;
    if (widthOf(longer) + before < columns) lines.splice(-1, 1, longer);
    else lines.push(word);
  }
  return lines.join(`\n${" ".repeat(indent)}`);
}
