// What the colours and shapes of a chart mean.
import { type Color, dashOf, fill, fontSizes, roughWidth, stroke, text, tone } from "./svg.js";

/** An entry of a legend. */
export interface LegendEntry {
  color: Color;
  label: string;
  /** How it is drawn, a line if absent. */
  shape?: Shape;
}

/** What is drawn in a chart: a line, the band about one, a field, or a mark at its foot. */
export type Shape = "line" | "band" | "field" | "mark";

/** The sample of an entry, `width` pixels wide, about a middle. */
export function sample(left: number, middle: number, width: number, color: Color, shape: Shape = "line"): string {
  if (shape === "mark") return `<path d="M${left + width / 2} ${middle - 5}l5 10h-10z" ${tone("alarm")}/>`;
  const field = `<rect x="${left}" y="${middle - 6}" width="${width}" height="12" rx="2" ${fill(color)}`;
  if (shape !== "line") return `${field}${shape === "band" ? ' opacity="0.22"' : ""}/>`;
  const dash = dashOf(color) === "" ? "" : ` stroke-dasharray="${dashOf(color)}"`;
  return `<path d="M${left} ${middle}h${width}" ${stroke(color)} stroke-width="3" fill="none"${dash}/>`;
}

/** Entries in one line, from the left. */
export function legendRow(left: number, middle: number, entries: readonly LegendEntry[]): string[] {
  const size = fontSizes.tick;
  let at = left;
  return entries.flatMap(({ color, label, shape = "line" }) => {
    const [x, width] = [at, shape === "line" ? 16 : 12];
    at += width + 18 + roughWidth(label, size);
    return [
      sample(x, middle, width, color, shape),
      text(x + width + 5, middle, label, { size, middle: true, tone: "soft" }),
    ];
  });
}
