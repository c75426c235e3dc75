// What all figures of an evaluation and of data share: their width, and their heading.
import { fontSizes, text } from "../../charts/svg.js";

/** Width of figures. At 360 pixels, text of 14 has ten and a half. */
export const figureWidth = 480;

/** The room at both sides. */
export const margin = 16;

/** A title, and below it a line that says more. */
export const heading = (title: string, subtitle: string): string[] => [
  text(margin, 28, title, { size: fontSizes.title, weight: 600 }),
  text(margin, 48, subtitle, { tone: "soft", size: fontSizes.tick }),
];
