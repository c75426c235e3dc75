// The same datasets, read by the Python package and here (tools/reference/dataset_goldens.py).

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import sharp from "sharp";
import { afterAll, describe, expect, it } from "vitest";
import { openDataset } from "../open-dataset.js";

interface Image {
  file: string;
  boxes: number[][];
  labels: number[];
  area: number[];
}
const golden = JSON.parse(readFileSync(new URL("./fixtures/datasets.json", import.meta.url), "utf8")) as {
  width: number;
  height: number;
  datasets: {
    name: string;
    files: Record<string, string | null>;
    rawLabels: boolean;
    splits: Record<"train" | "valid", Image[]>;
  }[];
};
const root = mkdtempSync(join(tmpdir(), "datasets-"));
afterAll(() => rmSync(root, { recursive: true }));

describe("datasets", () => {
  it.each(golden.datasets.map((one) => [one.name, one] as const))(
    "%s is read as the package reads it",
    async (name, { files, splits, rawLabels }) => {
      const folder = join(root, name);
      const { width, height } = golden;
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        if (text !== null) writeFileSync(join(folder, path), text);
        else await sharp({ create: { width, height, channels: 3, background: "#000" } }).toFile(join(folder, path));
      }
      for (const split of ["train", "valid"] as const) {
        const { images, categoryIds } = openDataset(folder, split);
        const ours = images
          .map(({ file, boxes, labels, areas }) => ({
            file: relative(folder, file),
            // The package keeps COCO's ids as labels in this one layout; here they are places in the list of classes.
            labels: Array.from(labels, (label) => (rawLabels ? categoryIds[label] : label)),
            boxes: Array.from(labels, (_, i) => [...boxes.subarray(i * 4, i * 4 + 4)]),
            areas: [...areas],
          }))
          .sort((a, b) => (a.file < b.file ? -1 : 1));
        expect(ours.map(({ file, labels }) => ({ file, labels }))).toEqual(
          splits[split].map(({ file, labels }) => ({ file, labels })),
        );
        // YOLO's fractions become pixels in float32 there, in float64 here, before both are stored in float32.
        splits[split].forEach((image, i) => {
          image.boxes.forEach((box, b) =>
            box.forEach((corner, c) => expect(ours[i].boxes[b][c]).toBeCloseTo(corner, 4)),
          );
          image.area.forEach((area, b) => expect(ours[i].areas[b]).toBeCloseTo(area, 3));
        });
      }
    },
  );
});
