// The fonts of this machine: which characters they have, and how wide a text is. Where no font has a character, a box
// with its number would be drawn.
import { sharp } from "../../data/images/sharp.js";
import { escapeXml } from "../../support/files/xml.js";

/** Font size in pixels at which texts are measured. */
const size = 48;
const [left, baseline, height] = [size, 72, 112];

/** Characters that are none, so that every machine draws them as boxes: with four digits and with six. */
const missing = ["\ufdd0", "\u{1fffe}"] as const;

/** By character; kept, since a data set has few. */
const known = new Map<string, Promise<boolean>>();

/** Whether the fonts of this machine have all characters of a text. Marks and joiners are not looked at alone. */
export async function inMachineFonts(text: string): Promise<boolean> {
  const characters = [...new Set(text.normalize("NFC").replace(/[\s\p{M}\p{C}]/gu, ""))];
  const found = await Promise.all(
    characters.map((character) => {
      let answer = known.get(character);
      if (answer === undefined) {
        answer = hasGlyph(character);
        known.set(character, answer);
      }
      return answer;
    }),
  );
  return /[\p{Cn}\p{Co}\p{Cs}]/u.test(text) ? false : found.every(Boolean);
}

/** A text as an SVG element of one line. Letters are joined and ordered as their script asks for. */
export function machineText(x: number, y: number, content: string, fontSize: number, color: string): string {
  const at = `x="${round(x)}" y="${round(y)}" font-size="${round(fontSize)}"`;
  return `<text ${at} font-family="sans-serif" font-weight="600" fill="${color}">${escapeXml(content)}</text>`;
}

/** Where the ink of a text begins, and how wide it is, in ems. */
export async function measureText(content: string): Promise<{ from: number; width: number }> {
  const { columns } = await inkOf(content);
  if (columns === null) return { from: 0, width: 0 };
  return { from: (columns[0] - left) / size, width: (columns[1] + 1 - columns[0]) / size };
}

async function hasGlyph(character: string): Promise<boolean> {
  const [glyph, ...boxes] = await Promise.all([character, ...missing].map(frameOf));
  return !boxes.includes(glyph);
}

/** The border of what is drawn for a character, as text: two boxes of the same number of digits have the same. */
async function frameOf(character: string): Promise<string> {
  const { inked, columns, rows } = await inkOf(character);
  if (columns === null || rows === null) return "nothing";
  const line = (count: number, at: (i: number) => boolean) =>
    Array.from({ length: count }, (_, i) => (at(i) ? "#" : ".")).join("");
  const across = columns[1] + 1 - columns[0];
  const down = rows[1] + 1 - rows[0];
  return [
    ...rows.map((y) => line(across, (i) => inked(columns[0] + i, y))),
    ...columns.map((x) => line(down, (i) => inked(x, rows[0] + i))),
  ].join("|");
}

interface Ink {
  inked(x: number, y: number): boolean;
  /** First and last column that has ink; null where none has. */
  columns: [number, number] | null;
  rows: [number, number] | null;
}

async function inkOf(content: string): Promise<Ink> {
  const canvas = Math.max(3, [...content].length + 2) * size * 1.5;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${canvas}" height="${height}">${machineText(left, baseline, content, size, "#000")}</svg>`;
  const { data, info } = await sharp(Buffer.from(svg))
    .extractChannel("alpha")
    .raw()
    .toBuffer({ resolveWithObject: true });
  const inked = (x: number, y: number) => data[y * info.width + x] > 64;
  const columns = Array.from({ length: info.width }, (_, x) => x);
  const rows = Array.from({ length: info.height }, (_, y) => y);
  const ends = (places: number[], has: (at: number) => boolean): [number, number] | null => {
    const first = places.find(has);
    return first === undefined ? null : [first, places.findLast(has) as number];
  };
  return {
    inked,
    columns: ends(columns, (x) => rows.some((y) => inked(x, y))),
    rows: ends(rows, (y) => columns.some((x) => inked(x, y))),
  };
}

const round = (value: number) => String(Math.round(value * 100) / 100);
