// `rfdetr data check --fix`: a copy of a COCO dataset without its faults.
import { copyFileSync, existsSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { makeFolder, writeFailure } from "../../support/atomic.js";
import { DataError } from "../../support/errors.js";
import { type CocoAnnotation, type CocoContent, type CocoImage, parseCoco } from "../formats/coco-file.js";
import { findCocoSplit } from "../formats/coco-split.js";
import type { Split } from "../formats/dataset.js";
import { decodeFile } from "../images/decode.js";
import type { CheckReport, Finding } from "./check-dataset.js";
import { boxFault, brokenAnnotations } from "./checks.js";
import { trainingCategories } from "./listing.js";

type Source = NonNullable<ReturnType<typeof findCocoSplit>>;

/**
 * Writes a copy of a COCO dataset without the faults that `report` names: images and annotations at fault are left
 * out, boxes are clipped, sizes are corrected. Image files are linked, or copied if the system cannot link them.
 * @returns the number of images in each split of the copy
 * @throws DataError if the target exists, if the layout is not COCO, if annotations cannot be read, or if nothing is
 * left of the train split
 * @throws RunDirectoryError if the copy cannot be written
 */
export async function fixDataset(root: string, target: string, report: CheckReport): Promise<Record<string, number>> {
  if (existsSync(target))
    throw new DataError(`Expected a folder that does not exist yet for the copy but ${target} does`);
  const kept: Record<string, number> = {};
  for (const split of ["train", "valid", "test"] as const) {
    const source = findCocoSplit(root, split);
    if (source === null) continue;
    const content = await repaired(root, split, source, report);
    try {
      writeSplit(join(target, split), source, content);
    } catch (error) {
      throw writeFailure(target, error);
    }
    kept[split] = content.images.length;
  }
  if (Object.keys(kept).length === 0)
    throw new DataError(
      `Expected a COCO dataset to write a repaired copy of but the layout of ${root} is ${report.layout}`,
    );
  return kept;
}

/** The content of a split without its faults. */
async function repaired(root: string, split: Split, source: Source, report: CheckReport): Promise<CocoContent> {
  const findings = report.findings.filter((finding) => finding.split === split);
  const broken = findings.find(({ check }) => check === brokenAnnotations.name);
  if (broken !== undefined) throw new DataError(`Expected annotations that can be repaired but ${broken.message}`);
  const content = parseCoco(source.annotations);
  const images = await goodImages(content.images, source, findings);
  const annotations = goodAnnotations(content.annotations, images, trainingCategories(root, source.annotations));
  if (split === "train" && (images.length === 0 || annotations.length === 0))
    throw new DataError(
      `Expected some good entries in the ${split} split of ${root} but every image or every annotation has a fault`,
    );
  return { ...content, images, annotations };
}

/** The first image of each id whose file decodes, with its true size. */
async function goodImages(
  images: readonly CocoImage[],
  source: Source,
  findings: readonly Finding[],
): Promise<CocoImage[]> {
  const filesOf = (name: string): Set<string> =>
    new Set(findings.filter(({ check }) => check === name).map(({ file }) => file));
  const [undecodable, wrongSizes] = [filesOf("undecodable images"), filesOf("wrong image sizes")];
  const good = new Map<number, CocoImage>();
  for (const image of images) {
    const file = join(source.images, image.file_name);
    if (good.has(image.id) || !existsSync(file) || undecodable.has(file)) continue;
    const { width, height } = wrongSizes.has(file) ? (await decodeFile(file)).original : image;
    good.set(image.id, { ...image, width, height });
  }
  return [...good.values()];
}

/** The annotations of these images that have a known class and a box in the image; boxes are clipped, ids are new. */
function goodAnnotations(
  annotations: readonly CocoAnnotation[],
  images: readonly CocoImage[],
  categories: ReadonlySet<number>,
): CocoAnnotation[] {
  const byId = new Map(images.map((image) => [image.id, image]));
  const good: CocoAnnotation[] = [];
  for (const annotation of annotations) {
    const image = byId.get(annotation.image_id);
    if (image === undefined || !categories.has(annotation.category_id)) continue;
    const fault = boxFault(annotation, image);
    if (fault === "malformed" || fault === "empty") continue;
    const [x, y, w, h] = annotation.bbox;
    const [left, top] = [Math.max(0, x), Math.max(0, y)];
    const [width, height] = [Math.min(image.width, x + w) - left, Math.min(image.height, y + h) - top];
    if (width > 0 && height > 0) good.push({ ...annotation, id: good.length, bbox: [left, top, width, height] });
  }
  return good;
}

/** Writes a split in Roboflow's layout: the annotations beside the images. */
function writeSplit(folder: string, source: Source, content: CocoContent): void {
  makeFolder(folder);
  const images = content.images.map((image) => ({ ...image, file_name: basename(image.file_name) }));
  writeFileSync(join(folder, "_annotations.coco.json"), JSON.stringify({ ...content, images }));
  for (const { file_name: name } of content.images)
    linkOrCopy(resolve(source.images, name), join(folder, basename(name)));
}

function linkOrCopy(from: string, to: string): void {
  if (existsSync(to)) return;
  try {
    symlinkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
