// Predicted masks and their targets, for tests of losses and matches.
import { type Tensor, tensor } from "@rfdetr/torch";
import type { Target } from "../data/target.js";
import { uniforms } from "../instruments/peers/deterministic-fill.js";
import type { DrawPoints } from "../loss/points.js";
import { decodeMask, encodeMask, type Mask } from "../masks/mask.js";
import type { MaskFeatures, Outputs } from "../model/outputs.js";

export const numbers = (x: Tensor): number[] => x.flatten().toList() as number[];

/** A mask of a rectangle: rows and columns from, and up to but without. */
export const rectangle = (height: number, width: number, [top, left, bottom, right]: number[]): Mask =>
  encodeMask(
    Uint8Array.from({ length: height * width }, (_, i) => {
      const [y, x] = [Math.floor(i / width), i % width];
      return Number(y >= top && y < bottom && x >= left && x < right);
    }),
    height,
    width,
  );
export const target = (imageId: number, masks: Mask[]): Target => ({
  imageId,
  masks,
  labels: new Int32Array(masks.length),
  boxes: Float32Array.from(masks.flatMap(() => [0.5, 0.5, 0.5, 0.5])),
});

/** The same points for every mask, so that the order of the masks does not matter. */
export const samePoints: DrawPoints = ([count, points]) =>
  tensor(
    Float32Array.from(uniforms(`${points} points`, points * 2), (u) => (u + 1) / 2),
    { shape: [1, points, 2] },
  ).expand([count, -1, -1]);

/** Predicted masks that are pieces of the image: each channel is the logit of one piece, each query reads a channel. */
export function predictions(channels: readonly Mask[], logit: number, queries: readonly number[]): MaskFeatures {
  const { height, width } = channels[0];
  const maps = channels.flatMap((mask) => Array.from(decodeMask(mask), (bit) => (bit ? logit : -logit)));
  const rows = queries.flatMap((channel) => channels.map((_, i) => Number(i === channel)));
  return {
    spatialFeatures: tensor(Float32Array.from(maps), { shape: [1, channels.length, height, width] }),
    queryFeatures: tensor(Float32Array.from(rows), { shape: [1, queries.length, channels.length] }),
    bias: tensor([0], { dtype: "float32" }),
  };
}

export const outputsOf = (predMasks: MaskFeatures): Outputs => {
  const [batch, queries] = predMasks.queryFeatures.shape;
  const own = {
    predLogits: tensor(new Float32Array(batch * queries), { shape: [batch, queries, 1] }),
    predBoxes: tensor(new Float32Array(batch * queries * 4).fill(0.5), { shape: [batch, queries, 4] }),
    predMasks,
  };
  return { ...own, auxOutputs: [], encOutputs: own };
};
