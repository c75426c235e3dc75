// The label file of one image: a class and a box, or a polygon, in each line, as fractions of the image.
import { decimal } from "../../support/decimal.js";
import { pointsBox } from "./outline-box.js";

/** A line that can be read. */
export interface LabelLine {
  /** Number of the line, from 1. */
  line: number;
  label: number;
  /** Left, top, width and height as fractions of the image. */
  box: [x: number, y: number, width: number, height: number];
  /** The box as stated. */
  stated: string;
  /** The points of a polygon, `x, y, x, y, …` as fractions of the image; null for a box. */
  polygon: readonly number[] | null;
}

/** A line that cannot be read. */
export interface LabelFault {
  line: number;
  check: "malformed labels" | "unknown categories" | "labels that are no fractions";
  /** The class, where the line has one. */
  label?: number;
  /** What was expected and what came, as the end of a sentence about the line. */
  reason: string;
}

/** Fractions may leave the image by this much before they are taken for pixels or percent. */
const furthest = 1.5;

/**
 * Reads the text of a label file. Polygons become the boxes around them; of key points the box counts.
 * @param classes number of classes
 * @param keypointNumbers numbers that follow a box in a data set of key points; 0 in others
 */
export function readLabelText(
  text: string,
  classes: number,
  keypointNumbers = 0,
): { lines: LabelLine[]; faults: LabelFault[] } {
  const lines: LabelLine[] = [];
  const faults: LabelFault[] = [];
  text.split(/\r\n|\n|\r/).forEach((content, i) => {
    const stated = content.trim();
    if (stated === "") return;
    const read = readLine(stated, classes, keypointNumbers);
    if ("reason" in read) faults.push({ line: i + 1, ...read });
    else lines.push({ line: i + 1, stated, ...read });
  });
  return { lines, faults };
}

function readLine(
  stated: string,
  classes: number,
  keypointNumbers: number,
): Omit<LabelLine, "line" | "stated"> | Omit<LabelFault, "line"> {
  const fields = stated.split(/\s+/).map(decimal);
  const [label, ...rest] = fields;
  const numbers = keypointNumbers > 0 && rest.length === 4 + keypointNumbers ? rest.slice(0, 4) : rest;
  if (!fields.every(Number.isFinite))
    return { check: "malformed labels", reason: `holds something that is no number: ${stated.slice(0, 60)}` };
  if (numbers.length === 5)
    return {
      check: "malformed labels",
      reason: "has six fields; a confidence behind the box belongs to predictions, not to labels",
    };
  if (numbers.length !== 4 && (numbers.length < 6 || numbers.length % 2 === 1)) {
    const expected = "a class and four box numbers, or a class and at least three polygon points";
    return { check: "malformed labels", reason: `has ${fields.length} fields instead of ${expected}` };
  }
  if (!Number.isInteger(label) || label < 0 || label >= classes)
    return {
      check: "unknown categories",
      label,
      reason: `has the class ${label}; the classes are 0 to ${classes - 1}`,
    };
  if (numbers.some((number) => Math.abs(number) > furthest))
    return {
      check: "labels that are no fractions",
      reason: `has numbers that are no fractions of the image: ${stated.slice(0, 60)}`,
    };
  if (numbers.length === 4) {
    const [x, y, width, height] = numbers;
    return { label, box: [x - width / 2, y - height / 2, width, height], polygon: null };
  }
  return { label, box: pointsBox(numbers) ?? [numbers[0], numbers[1], 0, 0], polygon: numbers };
}
