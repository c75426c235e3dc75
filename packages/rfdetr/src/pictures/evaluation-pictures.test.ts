import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EvaluationDetails } from "../eval/details/evaluation-details.js";
import { encodeMask, toCocoRuns } from "../masks/index.js";
import { exampleDetails } from "../testing/runs/example-details.js";
import { maskedDetails } from "../testing/runs/masked-details.js";
import { batchPicture } from "./batch-picture.js";
import { writeEvaluationPictures } from "./evaluation-pictures.js";
import { PictureFolder } from "./picture-folder.js";
import { type PictureEntry, readPictures } from "./picture-index.js";
import { pictureFile, rasterize } from "./rasterize.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pictures-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The example, with a picture of `width` × `height` in the place of each of its images. */
async function evaluated(width = 640, height = 480): Promise<EvaluationDetails> {
  const details = exampleDetails(["bird", '<b>"plane"']);
  for (const [i, image] of details.images_shown.entries()) {
    image.file = join(folder, `${i}.png`);
    await sharp({ create: { width, height, channels: 3, background: "#404040" } }).toFile(image.file);
  }
  return details;
}

const out = () => join(folder, "pictures");

describe("pictures of an evaluation", () => {
  it("are curves, matrices, truth beside prediction and the worst of each kind, all listed", async () => {
    const entries = await writeEvaluationPictures(out(), await evaluated());
    expect(entries.map(({ file }) => file)).toEqual([
      "precision-recall.svg",
      "f1.svg",
      "confusion.svg",
      "confusion-normalised.svg",
      "validation-1.jpg",
      "worst-background-1.jpg",
      "worst-missed-1.jpg",
    ]);
    expect(
      readPictures(out())
        .map(({ file }) => file)
        .sort(),
    ).toEqual(entries.map(({ file }) => file).sort());
    for (const { file, width, height, title, alt } of entries) {
      expect(await sharp(join(out(), file)).metadata()).toMatchObject({ width, height });
      expect(title).not.toBe("");
      expect(alt).toMatch(/\.$/);
    }
    const missed = entries.find(({ file }) => file === "worst-missed-1.jpg");
    expect(missed).toMatchObject({ kind: "worst", title: "Missed object: 0.png" });
    expect(missed?.alt).toContain("missed object: bird");
  });

  it("show the masks of truth and detections, where they were evaluated", async () => {
    const details = await evaluated(480, 480);
    const plain = await writeEvaluationPictures(out(), details);
    const before = readFileSync(join(out(), "validation-1.jpg"));
    const mask = toCocoRuns(encodeMask(new Uint8Array(480 * 480).fill(1), 480, 480));
    for (const image of details.images_shown) for (const truth of image.truths) truth.mask = mask;
    const entries = await writeEvaluationPictures(out(), details);
    expect(entries.map(({ file }) => file)).toEqual(plain.map(({ file }) => file));
    const after = readFileSync(join(out(), "validation-1.jpg"));
    const [one, other] = await Promise.all(
      [before, after].map((file) => sharp(file).raw().toBuffer({ resolveWithObject: true })),
    );
    /** Share of the pixels that masks change. */
    const changed = (right: boolean): number => {
      let count = 0;
      for (let at = 0; at < one.data.length; at += 3) {
        const x = (at / 3) % one.info.width;
        if (x > one.info.width / 2 === right && Math.abs(one.data[at] - other.data[at]) > 15) count++;
      }
      return count / (one.data.length / 6);
    };
    // Truth is at the left, detections at the right.
    expect(changed(false)).toBeGreaterThan(0.3);
    expect(changed(true)).toBeLessThan(0.001);
  });

  it("are of the masks where these were evaluated: curves, threshold and what is wrong", async () => {
    const details = await evaluated();
    const { masks } = maskedDetails();
    details.images_shown[0].worst = [{ kind: "localisation", rank: 1 }];
    details.images_shown[0].detections[1].state = "localisation";
    const entries = await writeEvaluationPictures(out(), { ...details, masks });
    const texts = new Map(entries.map(({ file, title, alt }) => [file, `${title}. ${alt}`]));
    expect(texts.get("precision-recall.svg")).toContain("at IoU 0.5 of masks. AP50 of all classes is 0.313.");
    expect(texts.get("f1.svg")).toContain("The best mean F1 is 0.33 at 0.31.");
    expect(readFileSync(join(out(), "confusion.svg"), "utf8")).toContain("IoU of masks above 0.45");
    expect(texts.get("validation-1.jpg")).toContain("confidence from 0.31");
    expect(texts.get("worst-localisation-1.jpg")).toMatch(/^Inexact mask: 0\.png\. .*inexact mask: bird\.$/);
  });

  it("name the epoch of the evaluation, where it is of a run", async () => {
    const details = await evaluated();
    const epochs = (entries: readonly PictureEntry[]) => new Set(entries.map(({ epoch }) => epoch));
    expect(epochs(await writeEvaluationPictures(out(), details))).toEqual(new Set([7]));
    expect(epochs(readPictures(out()))).toEqual(new Set([7]));
    details.origin.epoch = null;
    expect(epochs(await writeEvaluationPictures(out(), details))).toEqual(new Set([undefined]));
  });

  it("draw as many detections as can be told apart, the best, and say how many are not drawn", async () => {
    const details = await evaluated(480, 480);
    const [image] = details.images_shown;
    details.best_threshold = { threshold: 0.05, precision: 0.01, recall: 0.5, f1: 0.02 };
    const [first] = image.detections;
    const boxes = Array.from({ length: 50 }, (_, i) => ({
      ...first,
      box: [4 + 9 * i, 8, 8 + 9 * i, 470] as [number, number, number, number],
      score: 0.9 - 0.01 * i,
      state: "background" as const,
    }));
    image.worst = [{ kind: "background", rank: 1 }];
    image.detections = boxes;
    details.images_shown = [image];
    const entries = await writeEvaluationPictures(out(), details);
    const many = readFileSync(join(out(), "validation-1.jpg"));
    const [pairs, worst] = ["validation-1.jpg", "worst-background-1.jpg"].map(
      (name) => entries.find(({ file }) => file === name)?.alt,
    );
    expect(image.truths).toHaveLength(3);
    expect(pairs).toContain("confidence from 0.05. 0.png: 3 true objects, 12 detections; 38 weaker not drawn.");
    expect(worst).toContain("nothing there: bird; 38 weaker not drawn.");
    // The same picture as that of the best twelve, but for the caption.
    image.detections = boxes.slice(0, 12);
    await writeEvaluationPictures(out(), details);
    const few = readFileSync(join(out(), "validation-1.jpg"));
    const [one, other] = await Promise.all(
      [many, few].map((file) => sharp(file).raw().toBuffer({ resolveWithObject: true })),
    );
    expect(few.equals(many)).toBe(false);
    const { width, height } = one.info;
    const top = (height - 486 + 16) * width * 3;
    expect(one.data.subarray(top).equals(other.data.subarray(top))).toBe(true);
    image.truths = Array.from({ length: 20 }, () => image.truths[0]);
    image.detections = boxes;
    const crowded = (await writeEvaluationPictures(out(), details)).find(({ file }) => file === "validation-1.jpg");
    expect(crowded?.alt).toContain("20 true objects, 40 detections; 10 weaker not drawn.");
  });

  it("name no threshold where none helps", async () => {
    const details = await evaluated();
    details.best_threshold = { threshold: 0, precision: 0, recall: 0, f1: 0 };
    const pairs = (await writeEvaluationPictures(out(), details)).find(({ kind }) => kind === "validation");
    expect(pairs?.alt).toContain("at the right: any confidence, as no threshold helps yet.");
  });

  it("have the same size for images of 8 and of 5000 pixels", async () => {
    const sizes: unknown[] = [];
    for (const side of [8, 5000]) {
      await writeEvaluationPictures(out(), await evaluated(side, side));
      const { width, height } = await sharp(join(out(), "worst-missed-1.jpg")).metadata();
      sizes.push([width, height]);
    }
    expect(sizes[0]).toEqual(sizes[1]);
  });

  it("leave out images that are not there, not known or damaged", async () => {
    const details = await evaluated();
    writeFileSync(details.images_shown[0].file as string, "no picture");
    rmSync(details.images_shown[1].file as string);
    expect((await writeEvaluationPictures(out(), details)).map(({ kind }) => kind)).not.toContain("validation");
    const unknown = exampleDetails();
    for (const image of unknown.images_shown) image.file = null;
    expect(await writeEvaluationPictures(out(), unknown)).toHaveLength(4);
  });

  it("take the place of those of an earlier evaluation, and of nothing else", async () => {
    await writeEvaluationPictures(out(), await evaluated());
    writeFileSync(join(out(), "mine.jpg"), "");
    writeFileSync(join(out(), "worst-mine.jpg"), "");
    const details = await evaluated();
    for (const image of details.images_shown) image.worst = [];
    await writeEvaluationPictures(out(), details);
    expect(readdirSync(out()).sort()).toEqual([
      "confusion-normalised.svg",
      "confusion.svg",
      "f1.svg",
      "mine.jpg",
      "pictures.json",
      "precision-recall.svg",
      "validation-1.jpg",
      "worst-mine.jpg",
    ]);
  });

  it("are none where the folder cannot be made", async () => {
    writeFileSync(out(), "");
    await expect(writeEvaluationPictures(out(), exampleDetails())).rejects.toThrow("cannot be written");
  });
});

describe("a training batch", () => {
  it("is drawn with the pixels that the model saw, and its boxes", async () => {
    const images = new Uint8Array(2 * 8 * 8 * 3).fill(200);
    const targets = [
      { imageId: 1, labels: Int32Array.of(0), boxes: Float32Array.of(0.5, 0.5, 0.5, 0.5) },
      { imageId: 2, labels: new Int32Array(), boxes: new Float32Array() },
    ];
    const { data, info } = await sharp(await batchPicture({ images, height: 8, width: 8, targets }, ["fox"]))
      .raw()
      .toBuffer({ resolveWithObject: true });
    // Two images of 480 pixels, with gaps of 6 around them and captions above them.
    expect([info.width, info.channels]).toEqual([978, 3]);
    const at = (x: number, y: number): number[] => [
      ...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3),
    ];
    const top = info.height - 486;
    for (const value of at(6 + 240, top + 240)) expect(Math.abs(value - 200)).toBeLessThan(4);
    // The left edge of the box, a quarter into the image, is coloured; the other image has none.
    expect(Math.max(...at(6 + 120, top + 240)) - Math.min(...at(6 + 120, top + 240))).toBeGreaterThan(40);
    for (const value of at(492 + 120, top + 240)) expect(Math.abs(value - 200)).toBeLessThan(4);
  });
});

describe("a folder of pictures", () => {
  const figure = {
    title: "A title",
    alt: "What is to be seen.",
    width: 120,
    height: 40,
    svg: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 40" width="120" height="40"><rect width="120" height="40" fill="#ffffff"/><text x="60" y="20" font-size="16" class="f-ink" fill="#1f2328" text-anchor="middle" dy="0.34em">A &amp; B</text></svg>`,
  };

  it("keeps figures as SVG, or as JPEG of twice the size with letters that need no font", async () => {
    const pictures = new PictureFolder(out());
    await pictures.figure("f1.svg", "f1", figure);
    await pictures.figure("labels.jpg", "labels", figure);
    expect(pictures.finish().map(({ file, width, height }) => [file, width, height])).toEqual([
      ["f1.svg", 120, 40],
      ["labels.jpg", 240, 80],
    ]);
    expect(readFileSync(join(out(), "f1.svg"), "utf8")).toBe(figure.svg);
    const { data } = await pictureFile(join(out(), "f1.svg"));
    const dark = (await sharp(data).greyscale().raw().toBuffer()).filter((value) => value < 128).length;
    expect(dark).toBeGreaterThan(200);
    expect((await sharp(await rasterize(figure, "png")).metadata()).format).toBe("png");
    expect(existsSync(join(out(), "pictures.json"))).toBe(true);
  });
});
