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
/** What a covered pixel of an object costs, where one of a label costs 1, and each row that a label is further away. */
const [ofObject, ofRow] = [0.3, 0.1];

/**
 * Places labels one after the other, each beside its box, inside the picture, and where it covers the fewest pixels of
 * those that are placed, and few of the objects. Of equally good places the first of these is taken: above the box, at
 * its left or right end; inside its upper or lower left corner; below it; beside it; further above or below.
 */
export class LabelPlaces {
  readonly #placed: Rectangle[] = [];

  /** @param width of the picture in pixels, also `height` @param objects the boxes of all that is to be seen */
  constructor(
    readonly width: number,
    readonly height: number,
    readonly objects: readonly Rectangle[] = [],
  ) {}

  /** @returns where a label of this size goes; it must not be larger than the picture */
  place(box: Rectangle, width: number, height: number): Rectangle {
    let best: Rectangle | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const { x, y, row = 1 } of corners(box, width, height)) {
      const left = clamp(x, 0, this.width - width);
      const top = clamp(y, 0, this.height - height);
      const place = { left, top, right: left + width, bottom: top + height };
      // A label that was moved into the picture lies further from its box.
      const moved = Math.abs(left - x) + Math.abs(top - y);
      const ofLabels = this.#placed.reduce((sum, other) => sum + common(place, other), 0);
      const ofObjects = this.objects.reduce((sum, other) => sum + common(place, other), 0);
      const hidden = ofLabels + ofObject * ofObjects + ofRow * (row - 1) * width * height + moved * 1e-3;
      if (hidden >= least) continue;
      [best, least] = [place, hidden];
      if (hidden === 0) break;
    }
    const place = best as Rectangle;
    this.#placed.push(place);
    return place;
  }
}

function* corners(box: Rectangle, width: number, height: number): Generator<{ x: number; y: number; row?: number }> {
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
    yield { x: left, y: top - row * height, row };
    yield { x: left, y: bottom + (row - 1) * height, row };
    yield { x: left, y: top + (row - 1) * height, row };
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
