// @ts-check
// Weights and images for benches of exported files: filled weights, whose queries all look the same, so that rounding,
// which changes the order of untrained proposals, does not pair them with others.
import { join } from "node:path";
import { noGrad, ops } from "@rfdetr/torch";
import { synthesize } from "rfdetr/data";
import { RFDETRModel, resolveModel } from "rfdetr/model";
import { saveWeights } from "rfdetr/weights";
import { emojiClasses } from "../packages/rfdetr/dist/data/synth/synth-sprites.js";
import { fillModel } from "../packages/rfdetr/dist/instruments/peers/deterministic-fill.js";

/** @param {string} folder where to write both @param {string} name of the model */
export async function filledWeights(folder, name) {
  const classNames = emojiClasses.slice(0, 8);
  const config = resolveModel(/** @type {any} */ (name), { numClasses: classNames.length });
  const model = new RFDETRModel(config);
  fillModel(model);
  noGrad(() => {
    for (const { weight } of [model.queryFeat, model.refpointEmbed]) ops.zero_(weight);
  });
  const weights = join(folder, "weights.safetensors");
  saveWeights(weights, model.stateDict(), { classNames, config });
  const data = join(folder, "data");
  await synthesize(data, { images: 48, size: config.resolution, classes: classNames.length });
  return { weights, data };
}
