#!/usr/bin/env node
// @ts-check
// AP of a detector on pictures that are stored turned, with an EXIF tag that says so, as telephones write them: turned
// upright (`auto_orient`, the default), and as stored, which is the Python package's way.
//
//   npm run build && node bench/orientation.mjs --weights best.safetensors --data D [--split valid]
//
// D is a dataset in Roboflow's COCO layout of square pictures, such as `rfdetr data synth D` writes: of a square, the
// size does not tell how it was annotated. The pictures are stored turned by 90°, 270° and 180° in turn (orientations
// 6, 8 and 3). One JSON object goes to stdout.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import sharp from "sharp";

const { values } = parseArgs({
  options: { weights: { type: "string" }, data: { type: "string" }, split: { type: "string", default: "valid" } },
});
if (values.weights === undefined || values.data === undefined) throw new Error("give --weights and --data");
const { weights, data, split } = values;
const command = fileURLToPath(new URL("../packages/rfdetr/bin/rfdetr.mjs", import.meta.url));

/** Orientation, and the turn (clockwise) that it undoes. */
const turns = [
  { orientation: 6, stored: 270 },
  { orientation: 8, stored: 90 },
  { orientation: 3, stored: 180 },
];

/**
 * @param {string} folder a copy of the dataset, whose pictures of the split are replaced
 * @param {boolean} tagged whether they say how they are turned
 */
async function turn(folder, tagged) {
  cpSync(data ?? "", folder, { recursive: true });
  const names = readdirSync(join(folder, split)).filter((name) => /\.(jpe?g|png)$/i.test(extname(name)));
  for (const [i, name] of names.sort().entries()) {
    const { orientation, stored } = turns[i % turns.length];
    const file = join(folder, split, name);
    const pixels = await sharp(file).rotate(stored).png().toBuffer();
    const image = tagged ? sharp(pixels).withMetadata({ orientation }) : sharp(pixels);
    await image.toFormat(extname(name) === ".png" ? "png" : "jpeg", { quality: 95 }).toFile(file);
  }
}

/** @param {string} folder @returns {number} AP */
function score(folder) {
  const args = [command, "val", "--weights", weights ?? "", "--data", folder, "--split", split, "--json"];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: "utf8", maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout).AP;
}

const folder = mkdtempSync(join(tmpdir(), "orientation-"));
try {
  await turn(join(folder, "tagged"), true);
  // Without the tag, the stored pixels are all that there is.
  await turn(join(folder, "stored"), false);
  const AP = {
    upright: score(data),
    turned: { auto_orient: score(join(folder, "tagged")), as_stored: score(join(folder, "stored")) },
  };
  console.log(JSON.stringify({ split, AP }));
} finally {
  rmSync(folder, { recursive: true });
}
