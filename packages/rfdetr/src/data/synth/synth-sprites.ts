// The sprites of the synthetic dataset: emoji of three free families, rasterised at three sizes.

import { readFileSync } from "node:fs";
import { sharp } from "../images/sharp.js";

/** Emoji by class. A dataset of n classes has the first n. */
export const emojiClasses = [
  "dog-face",
  "cat-face",
  "red-apple",
  "automobile",
  "airplane",
  "sunflower",
  "soccer-ball",
  "hamburger",
  "banana",
  "bicycle",
  "guitar",
  "mushroom",
  "umbrella",
  "rocket",
  "strawberry",
  "owl",
  "penguin",
  "turtle",
  "key",
  "pizza",
  "carrot",
  "butterfly",
  "cactus",
  "pineapple",
] as const;

const families = ["noto", "twemoji", "fluent-emoji-flat"] as const;

/** Premultiplied RGBA bytes; each level has half the side of the one before. */
export interface Sprite {
  className: string;
  family: string;
  levels: { data: Uint8Array; size: number }[];
}

/** One family in `assets/sprites.json`, an excerpt of the npm package that `source` names. */
interface Family {
  name: string;
  author: { name: string; url: string };
  license: { title: string; spdx: string; url: string };
  source: string;
  /** Inner SVG by class, and the size of its view box. */
  icons: Record<string, { body: string; width: number; height: number }>;
}

const sizes = [160, 80, 40] as const;

/** Rasterises the first `classes` emoji in every family. */
export async function rasteriseSprites(classes: number): Promise<Sprite[]> {
  const all = readFamilies();
  const sprites: Sprite[] = [];
  for (const family of families) {
    const { icons } = all[family];
    for (const className of emojiClasses.slice(0, classes)) {
      const { body, width, height } = icons[className];
      const size = `width="${sizes[0]}" height="${sizes[0]}" viewBox="0 0 ${width} ${height}"`;
      const namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"';
      const svg = Buffer.from(`<svg ${namespaces} ${size}>${body}</svg>`);
      const levels = await Promise.all(
        sizes.map(async (size) => {
          const data = await sharp(svg).resize(size, size).ensureAlpha().raw().toBuffer();
          for (let i = 0; i < data.length; i += 4)
            for (let c = 0; c < 3; c++) data[i + c] = Math.round((data[i + c] * data[i + 3]) / 255);
          return { data: new Uint8Array(data), size };
        }),
      );
      sprites.push({ className, family, levels });
    }
  }
  return sprites;
}

function readFamilies(): Record<(typeof families)[number], Family> {
  return JSON.parse(readFileSync(new URL("../../../assets/sprites.json", import.meta.url), "utf8"));
}

/** Author and licence of every family, for the dataset's LICENSES.txt. */
export function spriteLicences(): string {
  const all = readFamilies();
  return families
    .map((family) => {
      const { name, author, license } = all[family];
      return `${name} by ${author.name} (${author.url})\n  ${license.title} [${license.spdx}], ${license.url}\n`;
    })
    .join("\n");
}
