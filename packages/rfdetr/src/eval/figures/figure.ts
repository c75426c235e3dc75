// A picture as SVG that adapts to light and dark pages, and can be read at a width of 360 pixels.
import { escapeXml } from "../../support/files/xml.js";

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

/** Width of figures. At 360 pixels, text of 14 has ten and a half. */
export const figureWidth = 480;
/** Font sizes of a title, of text, and of the numbers at axes. */
export const fontSizes = { title: 18, text: 14, tick: 13 } as const;

const fontFamily = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif";

/** Colours of everything but data: on light pages, and on dark ones. */
const tones = {
  page: ["fill", "#ffffff", "#0d1117"],
  ink: ["fill", "#1f2328", "#e6edf3"],
  soft: ["fill", "#59636e", "#9aa4af"],
  fill: ["fill", "#0969da", "#4493f8"],
  faint: ["fill", "#eaeef2", "#1c2128"],
  grid: ["stroke", "#e1e5e9", "#2a313c"],
  axis: ["stroke", "#8c959f", "#6e7681"],
  line: ["stroke", "#1f2328", "#e6edf3"],
} as const;
export type Tone = keyof typeof tones;

/**
 * The attributes that give a shape a tone: a colour for light pages, and a class for dark ones. Rasterisers, and
 * programs that know no classes, draw for a light page.
 */
export const tone = (name: Tone): string => `class="f-${name}" ${tones[name][0]}="${tones[name][1]}"`;

const sheet = Object.entries(tones)
  .map(([name, [property, , dark]]) => `.f-${name}{${property}:${dark}}`)
  .join("");
const style = `<style>@media (prefers-color-scheme:dark){${sheet}}</style>`;

/** Makes a document of elements. */
export function figure(given: Omit<Figure, "svg"> & { parts: readonly string[] }): Figure {
  const { title, alt, parts } = given;
  const [width, height] = [Math.ceil(given.width), Math.ceil(given.height)];
  const svg = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="${fontFamily}">`,
    `<title>${escapeXml(title)}</title><desc>${escapeXml(alt)}</desc>`,
    style,
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
  color?: string;
  anchor?: "start" | "middle" | "end";
  /** Centre on y instead of standing on it. */
  middle?: boolean;
  /** Degrees about (x, y). */
  rotate?: number;
}

/** A text element; the content is escaped. */
export function text(x: number, y: number, content: string, options: TextOptions = {}): string {
  const { size = fontSizes.text, weight = 400, color, anchor = "start", middle = false, rotate } = options;
  const fill = color === undefined ? tone(options.tone ?? "ink") : `fill="${color}"`;
  const attributes = [`x="${round(x)}"`, `y="${round(y)}"`, `font-size="${round(size)}"`, fill];
  if (weight !== 400) attributes.push(`font-weight="${weight}"`);
  if (anchor !== "start") attributes.push(`text-anchor="${anchor}"`);
  // librsvg and old browsers ignore dominant-baseline; a shift of a third of the size looks the same everywhere.
  if (middle) attributes.push(`dy="0.34em"`);
  if (rotate) attributes.push(`transform="rotate(${rotate} ${round(x)} ${round(y)})"`);
  return `<text ${attributes.join(" ")}>${escapeXml(content)}</text>`;
}

/** Wraps elements into a document on white, for those who bring all colours themselves. */
export function svgDocument(width: number, height: number, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="${fontFamily}">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

/** Width in pixels that a text takes at most, roughly: fonts differ. */
export const roughWidth = (content: string, size: number): number =>
  [...content].reduce((sum, letter) => sum + ((letter.codePointAt(0) as number) >= 0x2e80 ? 1 : 0.57), 0) * size;

/** A text that takes no more than `width` pixels: its end gives way to dots. */
export function shortened(content: string, size: number, width: number): string {
  if (roughWidth(content, size) <= width) return content;
  const letters = [...content];
  while (letters.length > 1 && roughWidth(`${letters.join("")}…`, size) > width) letters.pop();
  return `${letters.join("").trimEnd()}…`;
}

/** Two decimals are enough for a picture. */
export const round = (value: number): number => Math.round(value * 100) / 100;
