// Text as SVG strokes. Rasterisers draw `<text>` with the fonts of the machine, and a bare server has none, so labels
// come with their own letters: printable ASCII, drawn with a round pen on a grid where capitals run from y = 0 to the
// baseline y = 14, small letters begin at 4.6 and descenders end at 18.

/** Height of a line in font units: one em. */
const EM = 20;
const CAP_HEIGHT = 14;
const SPACING = 2.9;
const PEN = 1.9;

const BOWL_LEFT = "M7.6 7C7 5.5 5.7 4.6 4 4.6C1.6 4.6 0 6.6 0 9.3S1.6 14 4 14C5.7 14 7 13.1 7.6 11.6";
const BOWL_RIGHT = "M0 7C.6 5.5 1.9 4.6 3.6 4.6C6 4.6 7.6 6.6 7.6 9.3S6 14 3.6 14C1.9 14 .6 13.1 0 11.6";
const ARCH = "M0 8C.3 5.9 1.7 4.6 3.7 4.6C6 4.6 7.2 6 7.2 8.4V14";
const ESS =
  "M8 2.2C7.2 .7 5.8 0 4.2 0C2 0 .4 1.4 .4 3.4C.4 5.6 2.2 6.3 4.3 6.8C6.6 7.4 8.5 8.2 8.5 10.5C8.5 12.6 6.7 14 4.4 14C2.4 14 .7 13.1 0 11.5";

/** Width without spacing, and path. */
const GLYPHS: Readonly<Record<string, readonly [number, string]>> = {
  " ": [2.6, ""],
  "!": [1, "M.5 0V9M.5 13.6V13.7"],
  '"': [3, "M0 0V4M3 0V4"],
  "#": [9, "M3 1 1.5 13M7.5 1 6 13M.3 4.8H9M0 9.2H8.7"],
  $: [8.5, `${ESS}M4.3 -2V16`],
  "%": [11, "M10.5 0 .5 14M2.5 0A2.5 3 0 0 0 2.5 6 2.5 3 0 0 0 2.5 0ZM8.5 8A2.5 3 0 0 0 8.5 14 2.5 3 0 0 0 8.5 8Z"],
  "&": [10, "M10 14 2.6 4.6C1.2 2.8 2 0 4.3 0C6.6 0 7.3 2.8 5.6 4.4L2 7.4C-.6 9.6 .4 14 4.2 14C7.2 14 9.2 11.6 9.4 8"],
  "'": [1, "M.5 0V4"],
  "(": [3.4, "M3.4 -1C.8 2 0 4.5 0 7.5S.8 13 3.4 16"],
  ")": [3.4, "M0 -1C2.6 2 3.4 4.5 3.4 7.5S2.6 13 0 16"],
  "*": [6, "M3 0V6.4M.2 1.6 5.8 4.8M5.8 1.6 .2 4.8"],
  "+": [8, "M4 3.5V11.5M0 7.5H8"],
  ",": [1.4, "M1.2 13.2 .2 16.4"],
  "-": [5, "M0 8.5H5"],
  ".": [1, "M.5 13.6V13.7"],
  "/": [6, "M6 -1 0 15"],
  "0": [8.5, "M4.25 0A4.25 7 0 0 0 4.25 14 4.25 7 0 0 0 4.25 0Z"],
  "1": [8.5, "M1 3 4.5 0V14M1 14H8"],
  "2": [8.5, "M.4 3.4C.6 1.3 2.2 0 4.3 0C6.5 0 8 1.5 8 3.6C8 6 6 7.6 .3 14H8.5"],
  "3": [
    8.5,
    "M.6 2.4C1.2 .9 2.5 0 4.2 0C6.4 0 7.9 1.3 7.9 3.3C7.9 5.3 6.4 6.5 4 6.5H3.2M4 6.5C6.7 6.5 8.3 8 8.3 10.2C8.3 12.5 6.5 14 4.1 14C2.2 14 .7 13 .2 11.2",
  ],
  "4": [8.6, "M6.4 14V0L0 9.8H8.6"],
  "5": [8.5, "M7.8 0H1.3L.8 6.4C1.6 5.5 2.8 5 4.1 5C6.6 5 8.4 6.8 8.4 9.4C8.4 12.1 6.5 14 4 14C2.2 14 .8 13.1 .2 11.6"],
  "6": [
    8.5,
    "M7.6 1.6C6.9 .6 5.8 0 4.5 0C1.8 0 .2 2.7 .2 7.4C.2 11.9 1.8 14 4.4 14C6.8 14 8.4 12.2 8.4 9.6C8.4 7.1 6.8 5.4 4.5 5.4C2.5 5.4 .8 6.8 .2 9",
  ],
  "7": [8.5, "M0 0H8.4L3 14"],
  "8": [
    8.5,
    "M4.25 0A3.5 3.3 0 0 0 4.25 6.6 3.5 3.3 0 0 0 4.25 0ZM4.25 6.6A4.2 3.7 0 0 0 4.25 14 4.2 3.7 0 0 0 4.25 6.6Z",
  ],
  "9": [
    8.5,
    "M1 12.4C1.7 13.4 2.8 14 4.1 14C6.8 14 8.4 11.3 8.4 6.6C8.4 2.1 6.8 0 4.2 0C1.8 0 .2 1.8 .2 4.4C.2 6.9 1.8 8.6 4.1 8.6C6.1 8.6 7.8 7.2 8.4 5",
  ],
  ":": [1, "M.5 6V6.1M.5 13.6V13.7"],
  ";": [1.4, "M1.2 13.2 .2 16.4M1.1 6V6.1"],
  "<": [7.5, "M7.5 3 0 7.5 7.5 12"],
  "=": [8, "M0 5.2H8M0 9.8H8"],
  ">": [7.5, "M0 3 7.5 7.5 0 12"],
  "?": [7, "M0 2.6C.5 1 1.8 0 3.6 0C5.6 0 7 1.3 7 3.2C7 6.4 3.4 6.2 3.4 9.6M3.4 13.6V13.7"],
  "@": [
    13,
    "M9.4 4.4V9C9.4 10.6 10 11.2 11 11.2C12.4 11.2 13 9.6 13 7C13 2.8 10.4 0 6.7 0C2.8 0 0 3 0 7.2C0 11.4 2.8 14.4 6.8 14.4C8.3 14.4 9.6 14 10.6 13.4M9.4 7.4A2.9 3.4 0 0 0 3.6 7.4 2.9 3.4 0 0 0 9.4 7.4Z",
  ],
  A: [10, "M0 14 5 0 10 14M1.8 9.5H8.2"],
  B: [9, "M0 0V14H5A4 3.75 0 0 0 5 6.5H0M0 0H4.5A3.25 3.25 0 0 1 4.5 6.5"],
  C: [9.7, "M9.7 2.1A5.7 7 0 1 0 9.7 11.9"],
  D: [9.5, "M0 0V14H3.5A6 7 0 0 0 3.5 0Z"],
  E: [8, "M8 0H0V14H8M0 6.8H7"],
  F: [8, "M8 0H0V14M0 6.8H7"],
  G: [10, "M9.7 2.1A5.7 7 0 1 0 10 11.6V7.6H6.2"],
  H: [9.5, "M0 0V14M9.5 0V14M0 6.8H9.5"],
  I: [4, "M0 0H4M2 0V14M0 14H4"],
  J: [6, "M6 0V10A3 4 0 0 1 0 10"],
  K: [9, "M0 0V14M9 0 0 8.6M3.4 5.6 9 14"],
  L: [7.5, "M0 0V14H7.5"],
  M: [11, "M0 14V0L5.5 9 11 0V14"],
  N: [9.5, "M0 14V0L9.5 14V0"],
  O: [11, "M5.5 0A5.5 7 0 0 0 5.5 14 5.5 7 0 0 0 5.5 0Z"],
  P: [8.5, "M0 14V0H4.6A3.9 3.9 0 0 1 4.6 7.8H0"],
  Q: [11, "M5.5 0A5.5 7 0 0 0 5.5 14 5.5 7 0 0 0 5.5 0ZM6.5 10.5 10.5 15"],
  R: [9, "M0 14V0H4.6A3.9 3.9 0 0 1 4.6 7.8H0M4.5 7.8 9 14"],
  S: [8.5, ESS],
  T: [9, "M0 0H9M4.5 0V14"],
  U: [9.5, "M0 0V9.2A4.75 4.8 0 0 0 9.5 9.2V0"],
  V: [10, "M0 0 5 14 10 0"],
  W: [14, "M0 0 3.5 14 7 3 10.5 14 14 0"],
  X: [9, "M0 0 9 14M9 0 0 14"],
  Y: [9.5, "M0 0 4.75 7 9.5 0M4.75 7V14"],
  Z: [9, "M0 0H9L0 14H9"],
  "[": [3, "M3 -1H0V16H3"],
  "\\": [6, "M0 -1 6 15"],
  "]": [3, "M0 -1H3V16H0"],
  "^": [7, "M0 6 3.5 0 7 6"],
  _: [8, "M0 16.5H8"],
  "`": [2, "M0 0 2 2.5"],
  a: [7.6, `M7.6 4.6V14${BOWL_LEFT}`],
  b: [7.6, `M0 0V14${BOWL_RIGHT}`],
  c: [7, "M7 6.5C6.3 5.3 5.2 4.6 3.9 4.6C1.6 4.6 0 6.6 0 9.3S1.6 14 3.9 14C5.2 14 6.3 13.3 7 12.1"],
  d: [7.6, `M7.6 0V14${BOWL_LEFT}`],
  e: [7.6, "M0 9.2H7.6C7.6 6.4 6.1 4.6 3.9 4.6C1.6 4.6 0 6.6 0 9.3S1.6 14 4 14C5.4 14 6.6 13.4 7.3 12.2"],
  f: [4.8, "M5.4 .3C3.3 -.3 2 .8 2 3V14M0 4.9H5"],
  g: [7.6, `${BOWL_LEFT}M7.6 4.6V14.2C7.6 16.7 6.2 18 3.9 18C2.4 18 1.2 17.5 .5 16.5`],
  h: [7.2, `M0 0V14${ARCH}`],
  i: [1, "M.5 4.6V14M.5 .9V1"],
  j: [2.8, "M2.3 4.6V15C2.3 17 1.2 18 -.6 17.8M2.3 .9V1"],
  k: [7, "M0 0V14M6.6 4.6 0 10.6M2.6 8.3 7 14"],
  l: [2.4, "M0 0V11.6C0 13.2 .9 14 2.6 13.9"],
  m: [12, "M0 4.6V14M0 8C.3 5.9 1.4 4.6 3.1 4.6C5 4.6 6 6 6 8.4V14M6 8C6.3 5.9 7.4 4.6 9.1 4.6C11 4.6 12 6 12 8.4V14"],
  n: [7.2, `M0 4.6V14${ARCH}`],
  o: [8, "M4 4.6A4 4.7 0 0 0 4 14 4 4.7 0 0 0 4 4.6Z"],
  p: [7.6, `M0 4.6V18${BOWL_RIGHT}`],
  q: [7.6, `M7.6 4.6V18${BOWL_LEFT}`],
  r: [4.4, "M0 4.6V14M0 8.4C.3 5.9 1.9 4.4 4.6 4.7"],
  s: [
    6.8,
    "M6.4 6.2C5.8 5.2 4.8 4.6 3.4 4.6C1.6 4.6 .4 5.6 .4 7C.4 8.5 1.7 9 3.5 9.3C5.5 9.7 6.8 10.3 6.8 11.7C6.8 13.2 5.4 14 3.5 14C1.9 14 .6 13.4 0 12.2",
  ],
  t: [5, "M2 1.4V11C2 13.2 3.1 14.2 5.2 13.8M0 4.9H5"],
  u: [7.2, "M0 4.6V10.2C0 12.6 1.2 14 3.5 14C5.5 14 6.9 12.7 7.2 10.6M7.2 4.6V14"],
  v: [7.6, "M0 4.6 3.8 14 7.6 4.6"],
  w: [11, "M0 4.6 2.8 14 5.5 6 8.2 14 11 4.6"],
  x: [7, "M0 4.6 7 14M7 4.6 0 14"],
  y: [7.6, "M0 4.6 3.9 13.4M7.6 4.6 3 16C2.4 17.4 1.4 18 0 17.8"],
  z: [7, "M0 4.6H7L0 14H7"],
  "{": [3.6, "M3.6 -1C1.6 -1 1.6 .4 1.6 2V5.6C1.6 6.8 1 7.5 0 7.5C1 7.5 1.6 8.2 1.6 9.4V13C1.6 14.6 1.6 16 3.6 16"],
  "|": [1, "M.5 -1V16"],
  "}": [3.6, "M0 -1C2 -1 2 .4 2 2V5.6C2 6.8 2.6 7.5 3.6 7.5C2.6 7.5 2 8.2 2 9.4V13C2 14.6 2 16 0 16"],
  "~": [8, "M0 8.6C1 6.8 2.4 6.8 4 7.8S7 8.8 8 7"],
};

/**
 * A text in the letters of this font: typographic signs become those of ASCII, and accents are dropped.
 * @returns null where a character has no letter
 */
export function inStrokes(content: string): string | null {
  const plain = content
    .normalize("NFKD")
    .replace(/[\p{M}\p{Cf}]/gu, "")
    .replace(/[–—−]/g, "-")
    .replace(/[‘’]/g, "'")
    .replace(/[“”]/g, '"')
    .replace(/[\s\p{Cc}]/gu, " ");
  return [...plain].every((letter) => letter in GLYPHS) ? plain : null;
}

/** Height of capitals and digits, in ems. */
export const capHeight: number = CAP_HEIGHT / EM;

/** Width in ems of a text that {@link inStrokes} gave. */
export function strokeWidth(letters: string): number {
  const units = [...letters].reduce((sum, letter) => sum + GLYPHS[letter][0] + SPACING, -SPACING);
  return Math.max(0, units) / EM;
}

/**
 * SVG elements that write a text of {@link inStrokes} from x on, on the baseline y.
 * @param size of the font in pixels
 */
export function strokeText(x: number, y: number, letters: string, size: number, color: string): string {
  const scale = size / EM;
  // Below one pixel a stroke fades.
  const pen = Math.max(PEN, 1.15 / scale);
  let at = 0;
  const strokes: string[] = [];
  for (const letter of letters) {
    const [width, path] = GLYPHS[letter];
    if (path !== "") strokes.push(`<path transform="translate(${fixed(at)} 0)" d="${path}"/>`);
    at += width + SPACING;
  }
  const frame = `transform="translate(${fixed(x)} ${fixed(y - capHeight * size)}) scale(${scale.toFixed(4)})"`;
  const pens = `fill="none" stroke="${color}" stroke-width="${fixed(pen)}" stroke-linecap="round" stroke-linejoin="round"`;
  return `<g ${frame} ${pens}>${strokes.join("")}</g>`;
}

const fixed = (value: number) => String(Math.round(value * 100) / 100);
