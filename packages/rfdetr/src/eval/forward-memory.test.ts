import { memory, noGrad, resetPeakMemory, scope, type Tensor, zeros } from "@rfdetr/torch";
import { expect, it } from "vitest";
import { RFDETRModel } from "../model/rfdetr.js";
import { resolveModel } from "../model/variants.js";
import { extrapolatedPeak } from "../support/machine/device-memory.js";
import { checkForwardMemory } from "./forward-memory.js";

const device = "cpu";
const config = resolveModel("tiny");
const model = scope(() => new RFDETRModel(config));
model.eval();
const forward = (images: Tensor) => model.call(images);
const peak = (images: number, side: number): number => {
  const before = memory(device).liveBytes;
  resetPeakMemory(device);
  noGrad(() => scope(() => void forward(zeros([images, 3, side, side]))));
  return memory(device).peakBytes - before;
};

it("the memory of a forward pass is estimated from small images within a tenth", () => {
  peak(1, 64);
  const estimate = extrapolatedPeak(512 * 512, 3, [64, 128], (side) => [peak(1, side), peak(2, side)]);
  const ratio = estimate / peak(3, 512);
  expect(ratio).toBeGreaterThan(0.9);
  expect(ratio).toBeLessThan(1.1);
});

it("a forward pass that no machine has memory for is refused before anything of its size is made", () => {
  resetPeakMemory(device);
  const before = memory(device).peakBytes;
  for (const [images, size, words] of [
    [1, 200_000, "1 image of 200000 pixels"],
    [10_000, [16_384, 8192], "10,000 images of 16384×8192 pixels"],
  ] as const)
    expect(() => checkForwardMemory({ config, device, forward }, images, size)).toThrow(
      expect.objectContaining({
        code: "ERR_CONFIG",
        message: expect.stringMatching(
          new RegExp(`^A forward pass on ${words} would take about [\\d.e+]+ TiB but .*iB are available$`),
        ),
      }),
    );
  expect(memory(device).peakBytes - before).toBeLessThan(1e9);
  expect(() => checkForwardMemory({ config, device, forward }, 4, 128)).not.toThrow();
});
