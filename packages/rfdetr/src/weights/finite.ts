// Weights that are not finite are named before anything is computed with them.
import { nonFinite } from "@rfdetr/amp";
import type { Tensor } from "@rfdetr/torch";
import { CheckpointError } from "../support/errors.js";
import { agreeing, counted } from "../support/format.js";
import { some } from "./fit-weights.js";

/** @throws CheckpointError naming the file, the first tensors with NaN or infinite values, and their number */
export function checkFinite(path: string, tensors: Map<string, Tensor>): void {
  const broken = nonFinite(tensors);
  if (broken.length > 0)
    throw new CheckpointError(
      `Expected finite weights in ${path} but ${broken.length} of its ${counted(tensors.size, "tensor")} ${agreeing(broken.length, "holds", "hold")} NaN or infinity: ${some(broken)}`,
      { hint: "Use weights of an earlier epoch: the run that wrote these diverged, or the file was damaged" },
    );
}
