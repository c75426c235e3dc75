// What a device has, and what sizes take by what smaller ones take.
import { deviceMemory, memory } from "@rfdetr/torch";
import { availableMemory } from "./memory.js";

/** Bytes that this process can still get of a device's memory. */
export function availableOn(device: string): number {
  if (device === "cpu") return availableMemory();
  const { freeBytes, heldBytes } = deviceMemory(device);
  // What libtorch caches can become tensors.
  return freeBytes + heldBytes - memory(device).liveBytes;
}

/** An estimate may be this much too high. */
export const estimateMargin = 1.25;

/**
 * The peak of tensors for a batch of images, from the peaks for one and for two images of two small sizes: it grows in
 * proportion to the pixels, and with each image.
 * @param pixels of an image
 * @param sides of the small squares
 */
export function extrapolatedPeak(
  pixels: number,
  batch: number,
  sides: readonly [number, number],
  peaksAt: (side: number) => readonly [one: number, two: number],
): number {
  const [small, large] = sides.map((side) => {
    const [one, two] = peaksAt(side);
    return { pixels: side * side, fixed: 2 * one - two, each: two - one };
  });
  const share = (pixels - small.pixels) / (large.pixels - small.pixels);
  const at = (name: "fixed" | "each"): number => small[name] + share * Math.max(0, large[name] - small[name]);
  return at("fixed") + batch * at("each");
}
