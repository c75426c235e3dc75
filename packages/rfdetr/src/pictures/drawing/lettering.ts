// Text for pictures: in the strokes that every machine can draw where they have its letters, else in the fonts of the
// machine, which know all scripts that they have.
import { inMachineFonts, machineText, measureText } from "./machine-fonts.js";
import { inStrokes, strokeText, strokeWidth } from "./stroke-font.js";

/** A text that is ready to be drawn at any size. */
export interface Lettering {
  /** Width in ems. */
  readonly width: number;
  /** SVG elements that write it from x on, on the baseline y. @param size of the font in pixels */
  svg(x: number, y: number, size: number, color: string): string;
}

/** Longest text of a label, in characters as readers count them. */
const longest = 48;
/** Space between two texts of a line, in ems. */
const space = 0.36;

const segmenter = new Intl.Segmenter("und", { granularity: "grapheme" });
const charactersOf = (text: string): string[] => Array.from(segmenter.segment(text), ({ segment }) => segment);

/** By text; kept, since a data set has few names. */
const known = new Map<string, Promise<Lettering | null>>();
const mostKnown = 2000;

/** A text in strokes, at once. Characters without strokes are question marks. */
export function strokes(text: string): Lettering {
  const letters = inStrokes(text) ?? [...text].map((each) => inStrokes(each) ?? "?").join("");
  return { width: strokeWidth(letters), svg: (x, y, size, color) => strokeText(x, y, letters, size, color) };
}

/**
 * A text in letters. Accents are kept where the machine has a font with them, and dropped where it has none.
 * @returns null where neither the strokes nor a font of the machine have a letter for each character
 */
export function lettering(text: string): Promise<Lettering | null> {
  const content = shortened(text.replace(/[\s\p{Cc}]+/gu, " ").trim(), longest);
  let found = known.get(content);
  if (found === undefined) {
    if (known.size >= mostKnown) known.clear();
    found = letter(content);
    known.set(content, found);
  }
  return found;
}

async function letter(content: string): Promise<Lettering | null> {
  const plain = inStrokes(content);
  if (plain !== null && /^[ -~–—−‘’“”…]*$/.test(content)) return strokes(plain);
  if (!(await inMachineFonts(content))) return plain === null ? null : strokes(plain);
  const { from, width } = await measureText(content);
  return { width, svg: (x, y, size, color) => machineText(x - from * size, y, content, size, color) };
}

/** A text in letters that is no wider than `most` ems: its end gives way to dots. See {@link lettering}. */
export async function fittingLetters(text: string, most: number): Promise<Lettering | null> {
  const characters = charactersOf(text.replace(/[\s\p{Cc}]+/gu, " ").trim());
  let count = Math.min(longest, characters.length);
  for (;;) {
    const found = await lettering(count < characters.length ? `${characters.slice(0, count).join("")}…` : text);
    if (found === null || found.width <= most || count <= 1) return found;
    count = Math.min(count - 1, Math.max(1, Math.floor((count * most) / found.width)));
  }
}

const shortened = (text: string, most: number): string => {
  if (text.length <= most) return text;
  const characters = charactersOf(text);
  return characters.length <= most ? text : `${characters.slice(0, most).join("")}…`;
};

/** Texts after each other in one line. */
export function inLine(parts: readonly Lettering[]): Lettering {
  return {
    width: parts.reduce((sum, { width }) => sum + width + space, parts.length > 0 ? -space : 0),
    svg(x, y, size, color) {
      let at = x;
      return parts
        .map((part) => {
          const drawn = part.svg(at, y, size, color);
          at += (part.width + space) * size;
          return drawn;
        })
        .join("");
    },
  };
}

/**
 * What to tell a user whose class names cannot all be drawn on this machine; null where they can. Pictures show the
 * number of such a class in place of its name.
 * @example
 * import { fontWarning } from "rfdetr/predict";
 * console.warn((await fontWarning(["Fuchs", "狐"])) ?? "all names can be drawn");
 */
export async function fontWarning(classNames: readonly string[]): Promise<string | null> {
  const found = await Promise.all(classNames.map(lettering));
  const numbers = [...found.keys()].filter((i) => found[i] === null);
  if (numbers.length === 0) return null;
  const some = numbers.slice(0, 3).map((i) => `${JSON.stringify(classNames[i])} is class ${i}`);
  const more = numbers.length > 3 ? `, and so on for ${numbers.length} classes` : "";
  return `No font of this machine has the letters of some class names, so pictures show their numbers: ${some.join(", ")}${more}. Install a font that has them, such as Noto`;
}
