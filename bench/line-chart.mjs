// @ts-check
// Line charts with axes of any range, as SVG text: for the figures of benchmarks.
import { svg } from "rfdetr/eval";
import { escapeXml } from "rfdetr/support";

/** Round numbers from `low` to `high`, about `count` of them. */
function ticks(low, high, count = 6) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? 10 * power;
  const list = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step)
    list.push(Number(value.toPrecision(12)));
  return list;
}

/**
 * @typedef {{label?: string, color: string, width?: number, dash?: string, points: [number, number][], marks?:
 * boolean}} Line
 * @typedef {{title: string, xLabel: string, yLabel: string, lines: Line[], yFrom?: number, log?: boolean, legend?:
 * "top" | "bottom", xTicks?: [x: number, label: string][]}} Panel
 */

/**
 * One panel; `log` draws y by powers of two.
 * @param {Panel} panel
 */
export function panel(
  { title, xLabel, yLabel, lines, yFrom, log = false, legend = "top", xTicks },
  left,
  top,
  width,
  height,
) {
  const all = lines.flatMap(({ points }) => points);
  const scale = log ? Math.log2 : (value) => value;
  const [x0, x1] = [Math.min(...all.map(([x]) => x)), Math.max(...all.map(([x]) => x))];
  const [y0, y1] = [yFrom ?? Math.min(...all.map(([, y]) => y)), Math.max(...all.map(([, y]) => y))];
  const px = (x) => left + ((x - x0) / (x1 - x0 || 1)) * width;
  const py = (y) => top + height - ((scale(y) - scale(y0)) / (scale(y1) - scale(y0) || 1)) * height;
  const grey = "#57606a";
  const parts = [svg.text(left, top - 16, title, { size: 15, weight: 600 })];
  const yTicks = log
    ? Array.from({ length: 12 }, (_, i) => 2 ** (Math.ceil(Math.log2(y0)) + i)).filter((y) => y <= y1)
    : ticks(y0, y1);
  for (const y of yTicks) {
    parts.push(`<path d="M${left} ${py(y).toFixed(1)}h${width}" stroke="#e4e8ec" fill="none"/>`);
    parts.push(svg.text(left - 8, py(y), String(y), { size: 11, anchor: "end", middle: true, color: grey }));
  }
  for (const [x, label] of xTicks ?? ticks(x0, x1).map((x) => [x, String(x)])) {
    parts.push(`<path d="M${px(x).toFixed(1)} ${top}v${height}" stroke="#e4e8ec" fill="none"/>`);
    parts.push(svg.text(px(x), top + height + 18, label, { size: 11, anchor: "middle", color: grey }));
  }
  parts.push(svg.text(left + width / 2, top + height + 38, xLabel, { size: 12, anchor: "middle" }));
  parts.push(svg.text(left - 46, top + height / 2, yLabel, { size: 12, anchor: "middle", middle: true, rotate: -90 }));
  for (const { points, color, width: stroke = 1.5, dash, marks } of lines) {
    const path = points.map(([x, y]) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`).join(" ");
    parts.push(
      `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="${stroke}" stroke-linejoin="round"${dash ? ` stroke-dasharray="${dash}"` : ""}/>`,
    );
    if (marks)
      for (const [x, y] of points)
        parts.push(`<circle cx="${px(x).toFixed(1)}" cy="${py(y).toFixed(1)}" r="2.5" fill="${color}"/>`);
  }
  lines
    .flatMap(({ label, color }) => (label === undefined ? [] : [{ label, color }]))
    .forEach(({ label, color }, i) => {
      const y = legend === "bottom" ? top + height - 14 - i * 18 : top + 14 + i * 18;
      parts.push(`<path d="M${left + width - 150} ${y}h20" stroke="${color}" stroke-width="2.5"/>`);
      parts.push(svg.text(left + width - 122, y, label, { size: 12, middle: true }));
    });
  return parts;
}

/** Panels side by side in one document. @param {Panel[]} panels */
export function figure(panels) {
  const [width, height, gap] = [420, 300, 90];
  const parts = panels.flatMap((each, i) => panel(each, 70 + i * (width + gap), 50, width, height));
  const document = svg.svgDocument(70 + panels.length * (width + gap) - gap + 30, height + 110, parts);
  // Read aloud in place of the picture; readers look for it first.
  return document.replace(">", `>\n<title>${escapeXml(panels.map(({ title }) => title).join("; "))}</title>`);
}

export const colors = ["#1f6feb", "#d1242f", "#1a7f37", "#8250df", "#bf8700"];
