// Boxes with labels as an SVG layer over a picture.
import type { Mask } from "../../masks/mask.js";
import { classColors, paletteColor, readableOn } from "../../support/class-colors.js";
import { clamp, LabelPlaces, type Rectangle } from "./label-places.js";
import { fittingLetters, inLine, type Lettering, strokes } from "./lettering.js";
import { capHeight } from "./stroke-font.js";

/** A box with its class: a detection, or a ground truth, which has no score. */
export interface LabelledBox {
  /** x1, y1, x2, y2 in pixels of the image. */
  box: readonly number[];
  score?: number;
  classId: number;
  className?: string;
  /** The pixels of the object, at the size of the image. */
  mask?: Mask;
  /** `faint` draws a thin line without a label, `dashed` a broken line; default a whole line with a label. */
  look?: "faint" | "dashed";
}

/** How boxes are drawn. */
export interface BoxOptions {
  /** Write class and score at the boxes; default true. */
  labels?: boolean;
  /** Line width in pixels; default grows with the image. */
  lineWidth?: number;
  /** Font size in pixels; default grows with the image. */
  fontSize?: number;
  /**
   * All classes of the model. They choose the colours, as in all pictures of a run; without them colours go by
   * `classId`.
   */
  classNames?: readonly string[];
}

/** Up to this many boxes labels have their full size; with more they are smaller. */
const roomy = 30;
/** Font sizes below this, in pixels, are not legible: names are shortened sooner than letters get smaller. */
const smallest = 9;
/** The most that letters are of a small picture, as a share of its side: larger ones would cover what it shows. */
const mostOfPicture = 0.045;
/** Labels that would have to be smaller than this, in a tiny picture, are left out. */
const illegible = 4;

/** The boxes that can be drawn, best first; what has no score is true. */
export const bestFirst = (detections: readonly LabelledBox[]): LabelledBox[] =>
  detections
    .filter(({ box }) => box.length === 4 && box.every(Number.isFinite))
    .sort((a, b) => (b.score ?? 1) - (a.score ?? 1));

/** The colour of each box, by its class. */
export function colorsOf(classNames: readonly string[]): (box: LabelledBox) => string {
  const colors = classColors(classNames);
  return ({ className, classId }) => {
    const place = className === undefined ? classId : classNames.indexOf(className);
    return colors[place] ?? paletteColor(classId);
  };
}

/**
 * Width of lines in pixels. Of a picture ten times as large, one looks at a smaller copy or at a part: lines and
 * letters grow less than the picture.
 */
export const lineOf = (width: number, height: number, wanted?: number): number =>
  wanted ?? 1.5 + Math.sqrt(width * height) * 0.0025;

/**
 * The boxes and labels as an SVG document of the image's size; undefined if there is nothing to draw. Better detections
 * lie above worse ones, labels above boxes.
 * @param width of the image in pixels, also `height`
 */
export async function boxOverlay(
  width: number,
  height: number,
  detections: readonly LabelledBox[],
  { labels = true, lineWidth, fontSize, classNames = [] }: BoxOptions = {},
): Promise<string | undefined> {
  const drawn = bestFirst(detections);
  if (drawn.length === 0) return undefined;
  const colorOf = colorsOf(classNames);
  const side = Math.sqrt(width * height);
  const line = lineOf(width, height, lineWidth);
  const crowded = clamp(Math.sqrt(roomy / drawn.length), 0.7, 1);
  const usual = Math.min((9 + side * 0.0135) * crowded, side * mostOfPicture);
  const font = Math.min(fontSize ?? Math.max(smallest, usual), height * 0.6);

  const texts = labels && font >= illegible ? await labelTexts(drawn, width, font) : [];
  const boxes = drawn.map(({ box: [left, top, right, bottom] }) => ({ left, top, right, bottom }));
  const places = new LabelPlaces(width, height, boxes);
  const edges: string[] = [];
  const tags: string[] = [];
  for (const [i, detection] of drawn.entries()) {
    const color = colorOf(detection);
    const faint = detection.look === "faint";
    const edge = edgeOf(detection.box, width, height, faint ? line * 0.6 : line);
    edges.push(outline(edge, faint ? line * 0.6 : line, color, detection.look));
    if (texts[i] !== undefined) tags.push(tag(texts[i], color, edge, font, line, places));
  }
  // SVG paints in order: worst boxes first, all labels after all boxes.
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${edges.reverse().join("")}${tags.reverse().join("")}</svg>`;
}

/** The middle of the line around a box. At the border of the picture, its outer half would be cut off. */
function edgeOf([x1, y1, x2, y2]: readonly number[], width: number, height: number, line: number): Rectangle {
  const left = clamp(x1, line / 2, width - line / 2);
  const top = clamp(y1, line / 2, height - line / 2);
  return {
    left,
    top,
    right: Math.max(left, clamp(x2, line / 2, width - line / 2)),
    bottom: Math.max(top, clamp(y2, line / 2, height - line / 2)),
  };
}

/** The coloured line with an edge, dark or light, which stands out on pictures of its colour. */
function outline(edge: Rectangle, line: number, color: string, look: LabelledBox["look"]): string {
  const { left, top, right, bottom } = edge;
  const rect = `<rect x="${f(left)}" y="${f(top)}" width="${f(right - left)}" height="${f(bottom - top)}" rx="${f(line)}" fill="none"`;
  const dashes = look === "dashed" ? ` stroke-dasharray="${f(line * 3)} ${f(line * 2)}"` : "";
  const halo = `${rect} stroke="${readableOn(color)}" stroke-opacity="0.5" stroke-width="${f(line + Math.max(1, line * 0.6))}"${dashes}/>`;
  return `${halo}${rect} stroke="${color}" stroke-width="${f(line)}"${dashes}/>`;
}

/** The text of each label; a name in letters that nothing here can draw gives way to the number of its class. */
async function labelTexts(
  detections: readonly LabelledBox[],
  width: number,
  font: number,
): Promise<(Lettering | undefined)[]> {
  const most = width / font - 2 * padding;
  return Promise.all(
    detections.map(async ({ className, classId, score, look }) => {
      if (look === "faint") return undefined;
      const number = score === undefined ? [] : [strokes(score.toFixed(2))];
      const room = Math.max(1, most - number.reduce((sum, each) => sum + each.width + 0.4, 0));
      const name = className === undefined ? null : await fittingLetters(className, room);
      return inLine([name ?? strokes(`class ${classId}`), ...number]);
    }),
  );
}

/** Space around the text of a label, in ems. */
const padding = 0.3;

function tag(text: Lettering, color: string, box: Rectangle, font: number, line: number, places: LabelPlaces): string {
  const size = Math.min(font, places.width / (text.width + 2 * padding));
  const width = (text.width + 2 * padding) * size;
  const height = (capHeight + 2.2 * padding) * size;
  const half = line / 2;
  const outside = { left: box.left - half, top: box.top - half, right: box.right + half, bottom: box.bottom + half };
  const place = places.place(outside, width, height);
  const ground = `<rect x="${f(place.left)}" y="${f(place.top)}" width="${f(width)}" height="${f(height)}" rx="${f(line)}" fill="${color}"/>`;
  return ground + text.svg(place.left + padding * size, place.bottom - padding * 1.1 * size, size, readableOn(color));
}

const f = (value: number) => String(Math.round(value * 100) / 100);
