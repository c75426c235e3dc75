// The size of images as the model sees them.

/** The side of a square, or height and width, in pixels. */
export type Shape = number | readonly [height: number, width: number];

/** Most pixels of a side. */
export const largestSide = 16_384;

/** Height and width. */
export function sidesOf(shape: Shape): readonly [height: number, width: number] {
  return typeof shape === "number" ? [shape, shape] : shape;
}

/** The shape of these sides: one number for a square. */
export function shapeOf(height: number, width: number): Shape {
  return height === width ? height : [height, width];
}

/** `384`, or `384×640`: height, then width. */
export function shapeInWords(shape: Shape): string {
  return typeof shape === "number" ? String(shape) : shape.join("×");
}

/** Number of pixels. */
export function pixelsOf(shape: Shape): number {
  const [height, width] = sidesOf(shape);
  return height * width;
}
