// Preprocessing: converts the bytes of decoded images to the model's input.
import { noGrad, ops, scope, type Tensor, tensor } from "@rfdetr/torch";
import { imageDeviation, imageMean } from "../../support/image-statistics.js";

/**
 * Converts RGB pixels to a float32 tensor on the scale 0 to 1.
 * @param pixels `[B, height, width, 3]`: red, green, blue, as bytes or as float32 on the scale 0 to 1
 * @param batch number of images B
 * @param height in pixels
 * @param width in pixels
 * @param device where to put the tensor
 * @returns `[B, 3, height, width]`
 * @example
 * import { imagesToTensor, normalise_ } from "rfdetr/model";
 * const images = normalise_(imagesToTensor(new Uint8Array(384 * 384 * 3), 1, 384, 384));
 */
export function imagesToTensor(
  pixels: Uint8Array | Float32Array,
  batch: number,
  height: number,
  width: number,
  device = "cpu",
): Tensor {
  return noGrad(() =>
    scope(() => {
      const stored = tensor(pixels, { shape: [batch, height, width, 3], device });
      const planes = ops.contiguous(stored.permute(0, 3, 1, 2));
      return pixels instanceof Uint8Array ? ops.div_(planes.float(), 255) : planes;
    }),
  );
}

/**
 * Subtracts {@link imageMean} from each channel and divides by {@link imageDeviation}, in place.
 * @param images `[B, 3, H, W]` float32 on the scale 0 to 1
 * @returns `images` itself
 */
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
 * Resizes images with bilinear interpolation, without aligned corners and without antialiasing: PyTorch's
 * `torch.nn.functional.interpolate` in mode `bilinear`.
 * @param images `[B, 3, H, W]` float32
 * @param height new height in pixels
 * @param width new width in pixels
 * @returns `[B, 3, height, width]`; `images` itself if the size stays the same
 * @example
 * import { resizeImages } from "rfdetr/model";
 * const resized = resizeImages(images, 448, 448);
 */
export function resizeImages(images: Tensor, height: number, width: number): Tensor {
  const [, , h, w] = images.shape;
  if (h === height && w === width) return images;
  return ops.upsampleBilinear2d(images, [height, width], false);
}
