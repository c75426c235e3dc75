// Which characters the fonts of this machine have. Where none has it, a box with its number would be drawn.
import { sharp } from "../data/images/sharp.js";
import { escapeXml } from "../support/xml.js";
import { foreignCharacters } from "./stroke-font.js";

/** Characters that are none, so that every machine draws them as boxes: with four digits and with six. */
const missing = ["\ufdd0", "\u{1fffe}"] as const;

/** By character; kept, since a data set has few. */
const known = new Map<string, Promise<boolean>>();

/** Whether a text can be drawn with letters: those of the stroke font, and those of the machine's fonts. */
export async function canBeDrawn(text: string): Promise<boolean> {
  const found = await Promise.all(
    foreignCharacters(text).map((character) => {
      let answer = known.get(character);
      if (answer === undefined) {
        answer = hasGlyph(character);
        known.set(character, answer);
      }
      return answer;
    }),
  );
  return found.every(Boolean);
}

async function hasGlyph(character: string): Promise<boolean> {
  const [glyph, ...boxes] = await Promise.all([character, ...missing].map(frameOf));
  return !boxes.includes(glyph);
}

/** The border of what is drawn for a character, as text: two boxes of the same number of digits have the same. */
async function frameOf(character: string): Promise<string> {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="160" height="96"><g font-family="sans-serif" font-size="48"><text x="40" y="64">${escapeXml(character)}</text></g></svg>`;
  const { data, info } = await sharp(Buffer.from(svg))
    .extractChannel("alpha")
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  const inked = (x: number, y: number) => data[y * width + x] > 64;
  const columns = Array.from({ length: width }, (_, x) => x);
  const rows = Array.from({ length: height }, (_, y) => y);
  const top = rows.find((y) => columns.some((x) => inked(x, y)));
  if (top === undefined) return "nothing";
  const bottom = rows.findLast((y) => columns.some((x) => inked(x, y))) as number;
  const left = columns.find((x) => rows.some((y) => inked(x, y))) as number;
  const right = columns.findLast((x) => rows.some((y) => inked(x, y))) as number;
  const line = (places: (readonly [number, number])[]) => places.map(([x, y]) => (inked(x, y) ? "#" : ".")).join("");
  const across = columns.slice(left, right + 1);
  const down = rows.slice(top, bottom + 1);
  return [
    line(across.map((x) => [x, top])),
    line(across.map((x) => [x, bottom])),
    line(down.map((y) => [left, y])),
    line(down.map((y) => [right, y])),
  ].join("|");
}
