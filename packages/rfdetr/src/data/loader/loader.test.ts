import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { workerPath } from "../../support/machine/worker-path.js";
import { augmentPresets } from "../augment/presets.js";
import type { DatasetImage } from "../formats/dataset.js";
import { type Batch, DataLoader, type LoaderOptions } from "./loader.js";

let root: string;
const recipe = { size: 32, training: true, scaleJitter: true, augment: augmentPresets.default };
const bad = [3, 8];
let images: DatasetImage[];

function entry(id: number, file: string, width: number, height: number): DatasetImage {
  const none = { boxes: new Float32Array(0), labels: new Int32Array(0), areas: new Float64Array(0) };
  const boxes = Float32Array.of(5, 5, width - 5, height - 5);
  return {
    id,
    file,
    width,
    height,
    orientation: 1,
    boxes,
    labels: Int32Array.of(0),
    areas: Float64Array.of(100),
    crowd: none,
  };
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "loader-"));
  images = [];
  for (let id = 0; id < 12; id++) {
    const file = join(root, `${id}.png`);
    const noise = { type: "gaussian" as const, mean: 100 + id, sigma: 50 };
    await sharp({ create: { width: 60, height: 40, channels: 3, background: "#808080", noise } }).toFile(file);
    images.push(entry(id, file, 60, 40));
  }
  for (const id of bad) truncateSync(images[id].file, 2000);
});
afterAll(() => rmSync(root, { recursive: true }));

/** What is read: images, their order, the size of a batch, and how many places of an epoch are passed over. */
interface Reading {
  of?: DatasetImage[];
  order?: number[];
  size?: number;
  epochs?: number;
  skip?: number;
}

async function read(
  options: Partial<LoaderOptions>,
  { of = images, order = of.map((_, i) => i), size = 4, epochs = 1, skip = 0 }: Reading = {},
): Promise<{ batches: Batch[]; warnings: string[]; leftOut: string[] }> {
  const [batches, warnings]: [Batch[], string[]] = [[], []];
  const loader = new DataLoader({ recipe, workers: 0, onWarning: (text) => warnings.push(text), ...options });
  try {
    for (let epoch = 0; epoch < epochs; epoch++)
      for await (const batch of loader.batches(of, {
        order: order.slice(skip),
        batchSize: size,
        seedOf: (place) => ["image", epoch, place + skip],
      }))
        batches.push(batch);
    return { batches, warnings, leftOut: [...loader.leftOut] };
  } finally {
    await loader.close();
  }
}

describe("an image that does not decode", () => {
  it("ends the batches with its name", async () => {
    for (const workers of [0, 2])
      await expect(read({ workers })).rejects.toThrow(/3\.png does not decode: it is the beginning of a PNG/);
  });

  it("is left out, and named once", async () => {
    const { batches, warnings, leftOut } = await read({ workers: 2, onBadImage: "skip" }, { epochs: 2 });
    expect(batches.slice(0, 3).map(({ files }) => files.length)).toEqual([3, 4, 3]);
    expect(warnings.map((text) => /(\d)\.png does not decode/.exec(text)?.[1])).toEqual(["3", "8"]);
    expect(leftOut).toEqual(bad.map((id) => images[id].file));
    const empty = await read({ onBadImage: "skip" }, { order: [3, 8, 0], size: 2 });
    expect(empty.batches.map(({ files }) => files)).toEqual([[images[0].file]]);
  });

  it("is replaced by an image that depends on its place only", async () => {
    const { batches, warnings } = await read({ onBadImage: "replace" }, { epochs: 2 });
    expect(batches.map(({ files }) => files.length)).toEqual([4, 4, 4, 4, 4, 4]);
    for (const { files } of batches) for (const id of bad) expect(files).not.toContain(images[id].file);
    expect(warnings.length).toBe(2);
    // A run that is continued in the middle of an epoch sees the same images.
    const later = await read({ onBadImage: "replace" }, { skip: 4 });
    expect(later.batches).toEqual(batches.slice(1, 3).map((batch, number) => ({ ...batch, number })));
  });

  it("is an error where none decodes", async () => {
    await expect(read({ onBadImage: "replace" }, { of: bad.map((id) => images[id]) })).rejects.toThrow(
      /does not decode/,
    );
  });
});

describe("DataLoader", () => {
  it("gives the same bits for any number of threads, with kept images and with bad ones", async () => {
    const alone = await read({ onBadImage: "replace" }, { epochs: 3 });
    for (const workers of [1, 3]) expect(await read({ workers, onBadImage: "replace" }, { epochs: 3 })).toEqual(alone);
  });

  it("names a file that is gone", async () => {
    const gone = [entry(0, join(root, "gone.png"), 60, 40)];
    await expect(read({ workers: 1 }, { of: gone })).rejects.toThrow(/gone\.png cannot be read: there is no such file/);
  });

  it("runs in a program that was given as text, whose flags a thread cannot have", () => {
    const module = pathToFileURL(workerPath(import.meta.url, "loader.js") as string).href;
    const program = `import { DataLoader } from ${JSON.stringify(module)};
      const images = JSON.parse(process.argv[1]).map((image) => ({ ...image, boxes: [], labels: [] }));
      const loader = new DataLoader({ recipe: ${JSON.stringify({ ...recipe, augment: {} })}, workers: 2 });
      const plan = { order: [0, 1], batchSize: 2, seedOf: () => [1] };
      for await (const { files } of loader.batches(images, plan)) console.log(files.length);
      await loader.close();`;
    const entries = JSON.stringify(
      images.slice(0, 2).map(({ file, width, height, orientation }) => ({ file, width, height, orientation })),
    );
    expect(execFileSync(process.execPath, ["--input-type=module", "-e", program, entries], { encoding: "utf8" })).toBe(
      "2\n",
    );
  });

  it("takes bounded memory, whatever the number of threads and of batches ahead", async () => {
    const [width, height] = [4000, 3000];
    const first = join(root, "large-0.png");
    await sharp({ create: { width, height, channels: 3, background: "#777" } })
      .png()
      .toFile(first);
    const large = Array.from({ length: 32 }, (_, i) => entry(i, join(root, `large-${i}.png`), width, height));
    for (const { file } of large.slice(1)) copyFileSync(first, file);
    const module = pathToFileURL(workerPath(import.meta.url, "loader.js") as string).href;
    // In a process of its own, which holds nothing else. What the threads hold by themselves is there before: each has
    // prepared an image.
    const program = `import { DataLoader } from ${JSON.stringify(module)};
      const [small, large] = JSON.parse(process.argv[1]).map((images) =>
        images.map((image) => ({ ...image, boxes: [], labels: [] })));
      const options = { workers: 16, prefetch: 16, recipe: ${JSON.stringify(recipe)} };
      const loader = new DataLoader(options);
      const read = async (images) => {
        let count = 0;
        const plan = { order: images.map((_, i) => i), batchSize: 2, seedOf: () => [1] };
        for await (const batch of loader.batches(images, plan)) count++;
        return count;
      };
      await read(small);
      const before = process.memoryUsage.rss();
      const batches = await read(large);
      // At its peak, in KiB.
      console.log(JSON.stringify([batches, process.resourceUsage().maxRSS * 1024 - before]));
      await loader.close();`;
    const entries = [Array.from({ length: 64 }, () => images[0]), large].map((list) =>
      list.map(({ file, width, height, orientation }) => ({ file, width, height, orientation })),
    );
    const args = ["--input-type=module", "-e", program, JSON.stringify(entries)];
    const [batches, bytes] = JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" }));
    expect(batches).toBe(16);
    // 32 images of 36 MB, each with a second copy, would have 2.2 GiB.
    expect(bytes).toBeLessThan(1 << 30);
  });
});
