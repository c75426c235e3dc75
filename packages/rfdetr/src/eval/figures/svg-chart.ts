// A line chart over the unit square, as SVG text.
import { escapeXml } from "../../support/xml.js";

export interface Line {
  /** Entry in the legend; none if absent. */
  label?: string;
  color: string;
  /** Stroke width in pixels. */
  width: number;
  x: Float64Array;
  y: Float64Array;
  /** A point to mark with a circle. */
  mark?: [x: number, y: number];
}

export interface Chart {
  title: string;
  xLabel: string;
  yLabel: string;
  lines: readonly Line[];
}

const PLOT = { left: 64, top: 48, width: 560, height: 400 };
const FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif";
const LEGEND_LINE = 20;

/** Draws the lines over axes from 0 to 1 with a legend at the right; later lines lie above earlier ones. */
export function chart({ title, xLabel, yLabel, lines }: Chart): string {
  const { left, top, width, height } = PLOT;
  const px = (x: number) => round(left + x * width);
  const py = (y: number) => round(top + (1 - y) * height);
  const parts: string[] = [text(left, 30, title, { size: 17, weight: 600 })];

  for (let i = 0; i <= 10; i++) {
    const value = i / 10;
    const stroke = i === 0 ? "#57606a" : "#e4e8ec";
    parts.push(
      `<path d="M${px(0)} ${py(value)}H${px(1)}M${px(value)} ${py(0)}V${py(1)}" stroke="${stroke}" fill="none"/>`,
    );
    if (i % 2 === 0) {
      parts.push(text(px(value), py(0) + 20, value.toFixed(1), { size: 12, anchor: "middle", color: "#57606a" }));
      parts.push(
        text(px(0) - 10, py(value), value.toFixed(1), { size: 12, anchor: "end", middle: true, color: "#57606a" }),
      );
    }
  }
  parts.push(text(px(0.5), py(0) + 44, xLabel, { size: 13, anchor: "middle" }));
  parts.push(text(18, py(0.5), yLabel, { size: 13, anchor: "middle", middle: true, rotate: -90 }));

  for (const { x, y, color, width: stroke, mark } of lines) {
    const points = Array.from(x, (value, i) => `${px(value)},${py(y[i])}`).join(" ");
    parts.push(
      `<polyline points="${points}" fill="none" stroke="${color}" stroke-width="${stroke}" stroke-linejoin="round"/>`,
    );
    if (mark)
      parts.push(
        `<circle cx="${px(mark[0])}" cy="${py(mark[1])}" r="5" fill="#fff" stroke="${color}" stroke-width="2.5"/>`,
      );
  }

  const legend = lines.filter(({ label }) => label !== undefined);
  const legendX = left + width + 24;
  // The last line, which is drawn on top, comes first in the legend.
  [...legend.slice(-1), ...legend.slice(0, -1)].forEach(({ label, color, width: stroke }, i) => {
    const y = top + 10 + i * LEGEND_LINE;
    parts.push(`<path d="M${legendX} ${y}h22" stroke="${color}" stroke-width="${Math.max(2, stroke)}"/>`);
    parts.push(text(legendX + 30, y, label as string, { size: 12, middle: true }));
  });
  const longest = Math.max(0, ...legend.map(({ label }) => (label as string).length));
  const legendWidth = legend.length > 0 ? 60 + longest * 7.2 : 24;
  return svgDocument(
    Math.ceil(left + width + legendWidth),
    Math.max(top + height + 64, top + 20 + legend.length * LEGEND_LINE),
    parts,
  );
}

export interface TextOptions {
  size: number;
  weight?: number;
  color?: string;
  anchor?: "start" | "middle" | "end";
  /** Centre on y instead of standing on it. */
  middle?: boolean;
  /** Degrees about (x, y). */
  rotate?: number;
}

/** A text element; the content is escaped. */
export function text(x: number, y: number, content: string, options: TextOptions): string {
  const { size, weight = 400, color = "#1f2328", anchor = "start", middle = false, rotate } = options;
  const attributes = [`x="${round(x)}"`, `y="${round(y)}"`, `font-size="${round(size)}"`, `fill="${color}"`];
  if (weight !== 400) attributes.push(`font-weight="${weight}"`);
  if (anchor !== "start") attributes.push(`text-anchor="${anchor}"`);
  // librsvg and old browsers ignore dominant-baseline; a shift of a third of the size looks the same everywhere.
  if (middle) attributes.push(`dy="0.34em"`);
  if (rotate) attributes.push(`transform="rotate(${rotate} ${round(x)} ${round(y)})"`);
  return `<text ${attributes.join(" ")}>${escapeXml(content)}</text>`;
}

/** Wraps elements into a document on white. */
export function svgDocument(width: number, height: number, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="${FONT}">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

const round = (value: number) => Math.round(value * 100) / 100;
