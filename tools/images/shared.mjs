// @ts-check
// What the scripts that take pictures of programs share.
import { statSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { root } from "../check/repository.mjs";

/** Settings of a small detector that learns from random weights in a few hundred steps. */
export const quickSettings = {
  batch_size: 8,
  lr: 1e-3,
  lr_encoder: 1e-3,
  lr_vit_layer_decay: 1,
  lr_component_decay: 1,
  lr_scheduler: "cosine",
  warmup_epochs: 1,
  ema_decay: 0.98,
  multi_scale: "off",
};

/**
 * Writes a screenshot to docs/images. Few colours: a palette takes a third of the bytes.
 * @param {Buffer} screenshot @param {string} name without its ending
 */
export async function savePicture(screenshot, name) {
  const file = join(root, `docs/images/${name}.png`);
  await sharp(screenshot).png({ palette: true, colours: 128, effort: 10 }).toFile(file);
  console.log(`${file}: ${Math.round(statSync(file).size / 1000)} kB`);
}
