// Pictures as SVG text that adapt to light and dark pages.
import { escapeXml } from "../support/files/xml.js";

/** A picture, with what those need who cannot see it. */
export interface Figure {
  /** A few words. */
  title: string;
  /** What is to be seen, in sentences. */
  alt: string;
  /** A whole SVG document. */
  svg: string;
  /** Natural size in pixels, also `height`. */
  width: number;
  height: number;
}

/** Font sizes of a title, of text, and of the numbers at axes. At a width of 360 of 480, text of 14 has 10.5. */
export const fontSizes = { title: 18, text: 14, tick: 13 } as const;

const fontFamily = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif";

/** Colours of everything but data: on light pages, and on dark ones. */
const tones = {
  page: ["fill", "#ffffff", "#0d1117"],
  ink: ["fill", "#1f2328", "#e6edf3"],
  soft: ["fill", "#59636e", "#9aa4af"],
  fill: ["fill", "#0969da", "#4493f8"],
  faint: ["fill", "#eaeef2", "#1c2128"],
  alarm: ["fill", "#b42318", "#ffb4aa"],
  grid: ["stroke", "#e1e5e9", "#2a313c"],
  axis: ["stroke", "#8c959f", "#6e7681"],
  line: ["stroke", "#1f2328", "#e6edf3"],
} as const;
export type Tone = keyof typeof tones;

/** Colours of data that have none of their own, in their order: on light pages, and on dark ones. */
const series = [
  ["#0b62b0", "#5fb0f5"],
  ["#c2410c", "#ff9a62"],
  ["#00795a", "#43cfa2"],
  ["#9b3fa0", "#dd9be6"],
  ["#8a6100", "#e2bf55"],
  ["#3f6f8f", "#9cc4de"],
  ["#b3265a", "#ff8fb5"],
  ["#5f6670", "#a3abb6"],
] as const;
/** Dashes of the series: they tell them apart without colour. */
const dashes = ["", "7 4", "2 3", "10 3 2 3", "4 2", "1 2", "12 4", "6 2 1 2"] as const;

/** A colour of data: the place of a series, the colour of text, or a colour that is the same on all pages. */
export type Color = number | "ink" | (string & {});

/**
 * The attributes that give a shape a tone: a colour for light pages, and a class for dark ones. Rasterisers, and
 * programs that know no classes, draw for a light page.
 */
export const tone = (name: Tone): string => `class="f-${name}" ${tones[name][0]}="${tones[name][1]}"`;

const colored = (property: "fill" | "stroke", color: number | string): string =>
  typeof color === "number"
    ? `class="f-${property}${color % series.length}" ${property}="${series[color % series.length][0]}"`
    : `${property}="${color}"`;

/** The attributes that draw a line in a colour. */
export const stroke = (color: Color): string => (color === "ink" ? tone("line") : colored("stroke", color));
/** The attributes that fill a shape with a colour. */
export const fill = (color: Color): string => (color === "ink" ? tone("ink") : colored("fill", color));
/** The dashes of a line: those of its series; none where it has a colour of its own. */
export const dashOf = (color: Color): string => (typeof color === "number" ? dashes[color % dashes.length] : "");

const rules = [
  ...Object.entries(tones).map(([name, [property, , dark]]) => `.f-${name}{${property}:${dark}}`),
  ...series.flatMap(([, dark], i) => (["fill", "stroke"] as const).map((of) => `.f-${of}${i}{${of}:${dark}}`)),
].join("");

/** The style sheet that turns pictures dark on dark screens. */
export const darkStyle = `@media screen and (prefers-color-scheme:dark){${rules}}`;

/** Makes a document of elements. */
export function figure(given: Omit<Figure, "svg"> & { parts: readonly string[] }): Figure {
  const { title, alt, parts } = given;
  const [width, height] = [Math.ceil(given.width), Math.ceil(given.height)];
  const svg = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="${fontFamily}">`,
    `<title>${escapeXml(title)}</title><desc>${escapeXml(alt)}</desc>`,
    `<style>${darkStyle}</style>`,
    `<rect width="${width}" height="${height}" ${tone("page")}/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
  return { title, alt, svg, width, height };
}

/** How a text is set. */
export interface TextOptions {
  /** Font size in pixels; default that of text. */
  size?: number;
  weight?: number;
  /** Default `ink`; `color` takes its place. */
  tone?: Tone;
  color?: Color;
  anchor?: "start" | "middle" | "end";
  /** Centre on y instead of standing on it. */
  middle?: boolean;
  /** Degrees about (x, y). */
  rotate?: number;
}

/** A text element; the content is escaped. */
export function text(x: number, y: number, content: string, options: TextOptions = {}): string {
  const { size = fontSizes.text, weight = 400, color, anchor = "start", middle = false, rotate } = options;
  const paint = color === undefined ? tone(options.tone ?? "ink") : fill(color);
  const attributes = [`x="${round(x)}"`, `y="${round(y)}"`, `font-size="${round(size)}"`, paint];
  if (weight !== 400) attributes.push(`font-weight="${weight}"`);
  if (anchor !== "start") attributes.push(`text-anchor="${anchor}"`);
  // librsvg and old browsers ignore dominant-baseline; a shift of a third of the size looks the same everywhere.
  if (middle) attributes.push(`dy="0.34em"`);
  if (rotate) attributes.push(`transform="rotate(${rotate} ${round(x)} ${round(y)})"`);
  return `<text ${attributes.join(" ")}>${escapeXml(content)}</text>`;
}

/** Width in pixels that a text takes at most, roughly: fonts differ. */
export const roughWidth = (content: string, size: number): number =>
  [...content].reduce((sum, letter) => sum + letterWidth(letter), 0) * size;

const letterWidth = (letter: string): number =>
  letter >= "\u2e80" ? 1 : /[mwMW@%]/.test(letter) ? 0.95 : /[fijlt.,:;'| ]/.test(letter) ? 0.38 : 0.62;

/** A text that takes no more than `width` pixels: its end gives way to dots. */
export function shortened(content: string, size: number, width: number): string {
  if (roughWidth(content, size) <= width) return content;
  const letters = [...content];
  while (letters.length > 1 && roughWidth(`${letters.join("")}…`, size) > width) letters.pop();
  return `${letters.join("").trimEnd()}…`;
}

/** Two decimals are enough for a picture. */
export const round = (value: number): number => Math.round(value * 100) / 100;
