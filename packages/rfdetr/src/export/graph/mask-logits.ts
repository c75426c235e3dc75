// The masks of all queries, as an exported file has them.
import { ops, type Tensor } from "@rfdetr/torch";
import type { MaskFeatures } from "../../model/outputs.js";

/** Where the file computes them: the path that graphs and messages give it. */
export const maskModule = "masks";

/** Mask logits `[B, queries, h, w]` in float32, of their factors. Call it outside of autocast. */
export function maskLogits({ spatialFeatures, queryFeatures, bias }: MaskFeatures): Tensor {
  const [pixels, queries] = [spatialFeatures.float(), queryFeatures.float()];
  const [batch, , height, width] = pixels.shape;
  const products = ops.matmul(queries, pixels.flatten(2)).add(bias.float());
  return products.view(batch, queries.shape[1], height, width);
}
