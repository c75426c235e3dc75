// Bytes of decoded images to the numbers a model takes.
import { noGrad, ops, scope, type Tensor, tensor } from "@rfdetr/torch";

/** Mean and deviation of ImageNet's channels, on the scale 0 to 1 (red, green, blue). */
export const imageMean = [0.485, 0.456, 0.406] as const;
/** Deviation of ImageNet's channels, on the scale 0 to 1 (red, green, blue). */
export const imageDeviation = [0.229, 0.224, 0.225] as const;

/** `[B, height, width, 3]` bytes to `[B, 3, height, width]` float32 on the scale 0 to 1. */
export function imagesToTensor(
  bytes: Uint8Array,
  batch: number,
  height: number,
  width: number,
  device = "cpu",
): Tensor {
  return noGrad(() =>
    scope(() => {
      const stored = tensor(bytes, { shape: [batch, height, width, 3], device });
      return ops.div_(ops.contiguous(stored.permute(0, 3, 1, 2)).float(), 255);
    }),
  );
}

/** Subtracts the mean and divides by the deviation of every channel, in place. */
export function normalise_(images: Tensor): Tensor {
  return noGrad(() =>
    scope(() => {
      const { device } = images;
      ops.sub_(images, tensor([...imageMean], { device }).view(1, 3, 1, 1));
      return ops.div_(images, tensor([...imageDeviation], { device }).view(1, 3, 1, 1));
    }),
  );
}

/**
 * Bilinear resize of `[B, 3, H, W]` float32 to side × side, corners not aligned, no antialias; the images themselves
 * where nothing changes.
 */
export function resizeImages(images: Tensor, height: number, width: number): Tensor {
  const [, , h, w] = images.shape;
  if (h === height && w === width) return images;
  return ops.upsampleBilinear2d(images, [height, width], false);
}
