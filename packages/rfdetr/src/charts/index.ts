// Charts as SVG text: elements, axes, lines, bars and legends.

export * from "./axis.js";
export * from "./bars.js";
export * from "./chart.js";
export * from "./legend.js";
export * from "./svg.js";
