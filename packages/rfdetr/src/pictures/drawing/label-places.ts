// Where the labels of boxes go, so that they hide each other and the picture as little as possible.

/** Pixels. */
export interface Rectangle {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Rows of labels that are tried above and below a box. */
const rows = 4;

/**
 * Places labels one after the other, each beside its box, inside the picture, and where it covers the fewest pixels of
 * those that are placed. Of equally good places the first of these is taken: above the box, at its left or right end;
 * inside its upper or lower left corner; below it; beside it; further above or below.
 */
export class LabelPlaces {
  readonly #placed: Rectangle[] = [];

  /** @param width of the picture in pixels, also `height` */
  constructor(
    readonly width: number,
    readonly height: number,
  ) {}

  /** @returns where a label of this size goes; it must not be larger than the picture */
  place(box: Rectangle, width: number, height: number): Rectangle {
    let best: Rectangle | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const { x, y } of corners(box, width, height)) {
      const left = clamp(x, 0, this.width - width);
      const top = clamp(y, 0, this.height - height);
      const place = { left, top, right: left + width, bottom: top + height };
      // A label that was moved into the picture lies further from its box.
      const moved = Math.abs(left - x) + Math.abs(top - y);
      const hidden = this.#placed.reduce((sum, other) => sum + common(place, other), 0) + moved * 1e-3;
      if (hidden >= least) continue;
      [best, least] = [place, hidden];
      if (hidden === 0) break;
    }
    const place = best as Rectangle;
    this.#placed.push(place);
    return place;
  }
}

function* corners(box: Rectangle, width: number, height: number): Generator<{ x: number; y: number }> {
  const { left, top, right, bottom } = box;
  yield { x: left, y: top - height };
  yield { x: right - width, y: top - height };
  yield { x: left, y: top };
  yield { x: left, y: bottom - height };
  yield { x: left, y: bottom };
  yield { x: right - width, y: bottom };
  yield { x: right, y: top };
  yield { x: left - width, y: top };
  for (let row = 2; row <= rows; row++) {
    yield { x: left, y: top - row * height };
    yield { x: left, y: bottom + (row - 1) * height };
    yield { x: left, y: top + (row - 1) * height };
  }
}

/** Area that two rectangles share. */
function common(a: Rectangle, b: Rectangle): number {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  return width > 0 && height > 0 ? width * height : 0;
}

/** A number brought between two others; the lower of them where they are in the wrong order. */
export const clamp = (value: number, low: number, high: number): number =>
  Math.min(Math.max(value, low), Math.max(low, high));
