// @ts-check
// The masks of what was found, as a layer over the picture.

/** @typedef {import("rfdetr/browser").Detection} Detection */

/** How much of its colour an object gets, of 255. */
const strength = 115;

/**
 * Paints masks half transparent with an opaque edge. Where they overlap, the better one gives the colour.
 * @param {readonly Detection[]} detections best first
 * @param {readonly string[]} colors of the classes
 * @param {{ width: number, height: number }} size of the layer
 * @param {number} edge its width in pixels of the layer
 * @param {typeof import("rfdetr/browser").maskWindow} maskWindow
 * @returns {HTMLCanvasElement | null} null where nothing has a mask
 */
export function maskLayer(detections, colors, { width, height }, edge, maskWindow) {
  const masked = detections.filter(({ mask }) => mask !== undefined);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  if (masked.length === 0 || context === null || width === 0 || height === 0) return null;
  const image = context.createImageData(width, height);
  for (const { mask, classId } of masked) {
    if (mask === undefined) continue;
    const color = colors[classId] ?? "#2456c9";
    const channels = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
    const bits = maskWindow(mask, { width, height }, [0, 0, width, height]);
    for (let y = 0, at = 0; y < height; y++)
      for (let x = 0; x < width; x++, at++) {
        if (bits[at] === 0 || image.data[at * 4 + 3] !== 0) continue;
        const inside =
          (x < edge || bits[at - edge] === 1) &&
          (x >= width - edge || bits[at + edge] === 1) &&
          (y < edge || bits[at - edge * width] === 1) &&
          (y >= height - edge || bits[at + edge * width] === 1);
        image.data.set([...channels, inside ? strength : 255], at * 4);
      }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
