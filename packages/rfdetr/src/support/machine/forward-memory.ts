// Refuses a forward pass whose memory cannot be had: the system would end the process.
import { formatBytes } from "@rfdetr/amp/text";
import { ConfigError } from "../errors.js";
import { counted } from "../format.js";
import { pixelsOf, type Shape, shapeInWords, shapeOf, sidesOf } from "../shape.js";
import { availableMemory } from "./memory.js";

/** Bytes for each pixel of an image that is on its way into a model: three bytes, and three float32 numbers. */
const inputPerPixel = 15;

/** @param needed bytes, about */
export function forwardRefused(images: number, size: Shape, needed: number, available: number): ConfigError {
  return new ConfigError(
    `A forward pass on ${counted(images, "image")} of ${shapeInWords(shapeOf(...sidesOf(size)))} pixels would take about ${formatBytes(needed)} but ${formatBytes(available)} are available`,
    { hint: "Choose a smaller batch or smaller images" },
  );
}

/** Checks that there is memory for the images alone. @throws ConfigError */
export function checkInputMemory(images: number, size: Shape): void {
  const needed = inputPerPixel * images * pixelsOf(size);
  const available = availableMemory();
  if (needed > available) throw forwardRefused(images, size, needed, available);
}
