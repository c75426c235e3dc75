import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openDataset } from "../../data/index.js";
import { benchLoad } from "./bench-load.js";
import { writePhotographs } from "./photographs.js";

const options = {
  model: "tiny",
  batch: 2,
  precision: "32-true",
  device: "cpu",
  steps: 2,
  workers: [0],
  images: 6,
  source: { width: 200, height: 120 },
} as const;

describe("benchLoad", () => {
  it("measures the parts of an image, every number of threads, and steps with and without loading", async () => {
    const result = await benchLoad(options);
    expect(result).toMatchObject({
      model: "tiny",
      batch: 2,
      pictures: { width: 200, height: 120, bytes: expect.any(Number) },
    });
    expect(Object.keys(result.preparation)).toEqual(["decode", "resize", "augment"]);
    expect(result.throughput).toEqual([{ workers: 0, images_per_second: expect.any(Number) }]);
    expect(result.throughput[0].images_per_second).toBeGreaterThan(0);
    expect(result.training).toMatchObject({ workers: 0, steps: 2 });
    expect(result.training.wait_share).toBeGreaterThan(0);
    expect(result.training.wait_share).toBeLessThan(1);
  });

  it("refuses a dataset in which images would come twice", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bench-load-"));
    try {
      await writePhotographs(folder, { images: 7, width: 64, height: 64 });
      expect(openDataset(folder, "train").images.map(({ labels }) => labels.length)).toEqual(Array(7).fill(8));
      await expect(benchLoad({ ...options, source: folder })).rejects.toThrow(
        `Expected at least 10 training images in ${folder} but found 7: lower images or steps, or leave the dataset out`,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
