// Checks that a forward pass fits into memory before anything of its size is made.
import { memory, noGrad, releaseCachedMemory, resetPeakMemory, scope, type Tensor, zeros } from "@rfdetr/torch";
import type { ModelConfig } from "../model/types.js";
import { availableOn, estimateMargin, extrapolatedPeak } from "../support/machine/device-memory.js";
import { forwardRefused } from "../support/machine/forward-memory.js";
import { pixelsOf, type Shape } from "../support/shape.js";

/**
 * Bytes for each pixel of a batch that a forward pass takes at most, about: Nano takes 175 in float32, Seg Nano 620.
 * Where that is less than there is, nothing is measured.
 */
const mostPerPixel = 1024;
/** Blocks along a side of the two images that the estimate is measured on. */
const blocks = [4, 8] as const;

/** What is to run. */
export interface ForwardPass {
  config: ModelConfig;
  device: string;
  /** Of normalised images `[B, 3, H, W]`. */
  forward: (images: Tensor) => unknown;
  /** Of a runtime that takes more than this one: how many times as much, and bytes of each image beside that. */
  runtime?: { times: number; perImage: number };
}

/**
 * Checks that there may be enough memory for a forward pass. The estimate is made only where that is in question.
 * @throws ConfigError with an estimate where there is not
 */
export function checkForwardMemory(
  { config, device, forward, runtime }: ForwardPass,
  images: number,
  size: Shape,
): void {
  const { times, perImage } = runtime ?? { times: 1, perImage: 0 };
  const available = availableOn(device);
  const pixels = pixelsOf(size);
  if (images * (times * pixels * mostPerPixel + perImage) < available) return;
  const peak = (batch: number, side: number): number => {
    const before = memory(device).liveBytes;
    resetPeakMemory(device);
    noGrad(() => scope(() => void forward(zeros([batch, 3, side, side], { device }))));
    return memory(device).peakBytes - before;
  };
  const [small, large] = blocks.map((count) => count * config.patchSize * config.numWindows);
  try {
    // What is made once, such as copies of weights, belongs to no size.
    peak(1, small);
    const own = extrapolatedPeak(pixels, images, [small, large], (side) => [peak(1, side), peak(2, side)]);
    const needed = times * own + images * perImage;
    if (needed > (runtime === undefined ? estimateMargin : 1) * available)
      throw forwardRefused(images, size, needed, available);
  } finally {
    releaseCachedMemory(device);
    resetPeakMemory(device);
  }
}
