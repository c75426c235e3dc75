// `rfdetr data check`: everything that is wrong with a dataset, by name; `--fix` writes annotations without it.

import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { DataError } from "../../support/errors.js";
import { decodeFile } from "../images/decode.js";
import { type CocoAnnotation, type CocoContent, parseCoco } from "./coco-file.js";
import { findCocoSplit } from "./coco-split.js";
import type { Split } from "./dataset.js";
import { openDataset } from "./open.js";
import { findYoloFile } from "./yolo.js";

/** What training does with each kind: `refused` ends it with the name, `repaired` goes on without the entry, `kept` changes nothing. */
export const findingKinds = {
  "broken annotations": "refused",
  "no images": "refused",
  "no annotations": "refused",
  "duplicate image ids": "refused",
  "duplicate annotation ids": "kept",
  "duplicate file names": "kept",
  "missing files": "refused",
  "undecodable images": "refused",
  "annotations of unknown images": "refused",
  "unknown categories": "refused",
  "malformed boxes": "refused",
  "empty boxes": "repaired",
  "boxes outside the image": "repaired",
  "images without annotations": "kept",
  "wrong image sizes": "repaired",
} as const;
export type FindingKind = keyof typeof findingKinds;

export interface Finding {
  split: Split;
  kind: FindingKind;
  /** Each offender, with file or annotation id. */
  names: string[];
}

export interface CheckReport {
  layout: string;
  images: number;
  annotations: number;
  findings: Finding[];
  /** Whether training would start. */
  trainable: boolean;
}

export interface CheckOptions {
  /** Decode every image; default true. */
  decode?: boolean;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/** Looks at every split. @throws DataError when the folder is no dataset at all */
export async function checkDataset(root: string, options: CheckOptions = {}): Promise<CheckReport> {
  const splits = (["train", "valid", "test"] as const).filter((split) => findCocoSplit(root, split) !== null);
  if (splits.length === 0 && findYoloFile(root) === null) openDataset(root, "train");
  const report: CheckReport = { layout: "", images: 0, annotations: 0, findings: [], trainable: true };
  if (splits.length === 0) await checkYolo(root, report, options);
  for (const split of splits) await checkCoco(root, split, report, options);
  report.findings = report.findings.filter((f) => f.names.length > 0);
  report.trainable = report.findings.every((f) => findingKinds[f.kind] !== "refused");
  return report;
}

async function checkCoco(root: string, split: Split, report: CheckReport, options: CheckOptions): Promise<void> {
  const source = findCocoSplit(root, split) as NonNullable<ReturnType<typeof findCocoSplit>>;
  report.layout = source.layout;
  const found = new Map<FindingKind, string[]>();
  const add = (kind: FindingKind, name: string): void => void (found.get(kind)?.push(name) ?? found.set(kind, [name]));
  let content: CocoContent;
  try {
    content = parseCoco(source.annotations);
  } catch (error) {
    report.findings.push({ split, kind: "broken annotations", names: [(error as Error).message] });
    return;
  }
  report.images += content.images.length;
  report.annotations += content.annotations.length;
  if (content.images.length === 0) add("no images", source.annotations);
  if (content.annotations.length === 0) add("no annotations", source.annotations);
  const images = new Map<number, (typeof content.images)[number]>();
  const files = new Set<string>();
  for (const image of content.images) {
    if (images.has(image.id)) add("duplicate image ids", `image ${image.id} (${image.file_name})`);
    if (files.has(image.file_name)) add("duplicate file names", image.file_name);
    images.set(image.id, image);
    files.add(image.file_name);
  }
  const categories = new Set(
    (split === "train" ? content : parseCoco(findCocoSplit(root, "train")?.annotations ?? source.annotations)).categories.map((c) => c.id),
  );
  const ids = new Set<number>();
  const annotated = new Set<number>();
  for (const annotation of content.annotations) {
    const name = `annotation ${annotation.id}`;
    if (ids.has(annotation.id)) add("duplicate annotation ids", name);
    ids.add(annotation.id);
    annotated.add(annotation.image_id);
    const fault = boxFault(annotation, images.get(annotation.image_id));
    if (fault !== null)
      add(
        fault,
        `${name}${images.has(annotation.image_id) ? ` in ${images.get(annotation.image_id)?.file_name}` : ` (image ${annotation.image_id})`}${fault.includes("box") ? ` ${JSON.stringify(annotation.bbox)}` : ""}`,
      );
    if (!categories.has(annotation.category_id)) add("unknown categories", `${name} (category ${annotation.category_id})`);
  }
  let done = 0;
  for (const image of content.images) {
    options.signal?.throwIfAborted();
    const file = join(source.images, image.file_name);
    if (!existsSync(file)) add("missing files", file);
    else if (options.decode ?? true) {
      try {
        const { width, height } = await decodeFile(file);
        if (width !== image.width || height !== image.height)
          add("wrong image sizes", `${image.file_name}: ${image.width}×${image.height} annotated, ${width}×${height} decoded`);
      } catch (error) {
        add("undecodable images", `${file}: ${((error as Error).cause as Error | undefined)?.message ?? (error as Error).message}`);
      }
    }
    if (!annotated.has(image.id)) add("images without annotations", image.file_name);
    options.onProgress?.(++done, content.images.length);
  }
  for (const [kind, names] of found) report.findings.push({ split, kind, names });
}

function boxFault(annotation: CocoAnnotation, image: { width: number; height: number } | undefined): FindingKind | null {
  if (image === undefined) return "annotations of unknown images";
  const { bbox } = annotation;
  if (!Array.isArray(bbox) || bbox.length !== 4 || !bbox.every(Number.isFinite)) return "malformed boxes";
  const [x, y, w, h] = bbox;
  if (w <= 0 || h <= 0) return "empty boxes";
  // Half a pixel is rounding of whoever wrote the file.
  return x < -0.5 || y < -0.5 || x + w > image.width + 0.5 || y + h > image.height + 0.5 ? "boxes outside the image" : null;
}

async function checkYolo(root: string, report: CheckReport, options: CheckOptions): Promise<void> {
  report.layout = "yolo";
  for (const split of ["train", "valid", "test"] as const) {
    let dataset: ReturnType<typeof openDataset>;
    try {
      dataset = openDataset(root, split);
    } catch (error) {
      if (split !== "test") report.findings.push({ split, kind: "broken annotations", names: [(error as Error).message] });
      continue;
    }
    report.images += dataset.images.length;
    const bad: string[] = [];
    let done = 0;
    for (const image of dataset.images) {
      options.signal?.throwIfAborted();
      report.annotations += image.labels.length;
      if (options.decode ?? true) await decodeFile(image.file).catch((error: Error) => bad.push(error.message));
      options.onProgress?.(++done, dataset.images.length);
    }
    report.findings.push(
      { split, kind: "undecodable images", names: bad },
      { split, kind: "images without annotations", names: dataset.images.filter((i) => i.labels.length === 0).map((i) => i.file) },
    );
    if (dataset.images.length === 0) report.findings.push({ split, kind: "no images", names: [root] });
  }
}

/**
 * Writes a copy of a COCO dataset without what `report` found: offending images and annotations are left out, boxes clipped, sizes
 * corrected. Image files are linked, not copied, where the system allows it.
 * @throws DataError when the target exists, or nothing usable is left
 */
export async function fixDataset(root: string, target: string, report: CheckReport): Promise<Record<string, number>> {
  if (existsSync(target)) throw new DataError(`Expected a folder that does not exist yet for --fix but ${target} does`);
  const kept: Record<string, number> = {};
  for (const split of ["train", "valid", "test"] as const) {
    const source = findCocoSplit(root, split);
    if (source === null) continue;
    const broken = report.findings.find((f) => f.split === split && f.kind === "broken annotations");
    if (broken !== undefined) throw new DataError(`Expected annotations that can be repaired but ${broken.names[0]}`);
    const content = parseCoco(source.annotations);
    const undecodable = new Set(
      report.findings
        .filter((f) => f.split === split && f.kind === "undecodable images")
        .flatMap((f) => f.names.map((name) => name.slice(0, name.indexOf(": ")))),
    );
    const seen = new Set<number>();
    const images = content.images.filter((image) => {
      const file = join(source.images, image.file_name);
      const good = !seen.has(image.id) && existsSync(file) && !undecodable.has(file);
      if (good) seen.add(image.id);
      return good;
    });
    for (const image of images) {
      const size = report.findings
        .find((f) => f.split === split && f.kind === "wrong image sizes")
        ?.names.find((name) => name.startsWith(`${image.file_name}: `));
      const match = size === undefined ? null : /(\d+)×(\d+) decoded/.exec(size);
      if (match !== null) [image.width, image.height] = [Number(match[1]), Number(match[2])];
    }
    const byId = new Map(images.map((image) => [image.id, image]));
    const categories = new Set(content.categories.map((c) => c.id));
    const annotations: CocoAnnotation[] = [];
    for (const annotation of content.annotations) {
      const image = byId.get(annotation.image_id);
      const fault = boxFault(annotation, image);
      if (image === undefined || !categories.has(annotation.category_id) || (fault !== null && fault !== "boxes outside the image"))
        continue;
      const [x, y, w, h] = annotation.bbox;
      const [l, t] = [Math.max(0, x), Math.max(0, y)];
      const [width, height] = [Math.min(image.width, x + w) - l, Math.min(image.height, y + h) - t];
      if (width > 0 && height > 0) annotations.push({ ...annotation, id: annotations.length, bbox: [l, t, width, height] });
    }
    if (split === "train" && (images.length === 0 || annotations.length === 0))
      throw new DataError(`Expected something to be left of the ${split} split of ${root} but every image or annotation is broken`);
    const folder = join(target, split);
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, "_annotations.coco.json"),
      JSON.stringify({ ...content, images: images.map((image) => ({ ...image, file_name: basename(image.file_name) })), annotations }),
    );
    for (const image of images) link(resolve(source.images, image.file_name), join(folder, basename(image.file_name)));
    kept[split] = images.length;
  }
  return kept;
}

function link(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  if (existsSync(to)) return;
  try {
    symlinkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
