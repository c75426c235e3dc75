// Lists a split of a COCO dataset (Lin et al. 2014): an annotation file of images, annotations and categories.
import { relative } from "node:path";
import type { Category, JoinedClasses } from "./class-categories.js";
import { type CocoJson, isCrowd } from "./coco-json.js";
import type { Split } from "./dataset.js";
import { type Entry, isEntry, readId, readLength, textOf } from "./entries.js";
import { FileFinder } from "./find-file.js";
import type { SplitSource } from "./layout.js";
import { frameOf, type ListedBox, type ListedImage, type Listing, type Problem } from "./listing.js";
import { outlineBox } from "./outline-box.js";
import { type HeaderOptions, withHeader } from "./picture-file.js";
import { readSegmentation } from "./segmentation.js";

/** What a split is listed from. */
export interface CocoParts {
  root: string;
  source: Extract<SplitSource, { annotations: string }>;
  split: Split;
  content: CocoJson;
  categories: readonly Category[];
  joined: JoinedClasses;
  /** Whether to read the outlines of the objects. */
  outlines: boolean;
}

/** Lists a split. */
export function listCoco(parts: CocoParts, headerOptions: HeaderOptions): Listing {
  const { source, split, content, joined } = parts;
  const file = source.annotations;
  const problems: Problem[] = content.problems.map((message) => ({
    check: "broken annotations",
    file,
    id: null,
    message,
  }));
  const images = readImages(parts, headerOptions, problems);
  addBoxes(parts, images, problems);
  const used = new Set(content.annotations.map((entry) => (isEntry(entry) ? readId(entry.category_id) : null)));
  for (const { name, id } of joined.renumbered.filter((category) => used.has(category.id))) {
    const message = `${file} numbers ${name} in another way (${id}) than the train split: it is taken by its name`;
    problems.push({ check: "classes joined by name", file, id, message });
  }
  const { layout, folders } = source;
  const { annotations } = content;
  return {
    layout,
    split,
    source: file,
    folders,
    images,
    annotations: annotations.length,
    problems,
    outlines: parts.outlines,
    rest: { ...content.rest, categories: content.categories },
  };
}

function readImages(
  { root, source, split, content }: CocoParts,
  headerOptions: HeaderOptions,
  problems: Problem[],
): ListedImage[] {
  const file = source.annotations;
  const finder = new FileFinder(root, source.folders, split);
  const images: ListedImage[] = [];
  const respelt = new Map<string, ListedImage[]>();
  for (const [i, entry] of content.images.entries()) {
    const where = `images[${i}] of ${file}`;
    const malformed = (message: string): unknown =>
      problems.push({ check: "malformed entries", file, id: null, message: `${where} ${message}` });
    if (!isEntry(entry)) malformed(`is no image: ${textOf(entry)}`);
    else if (typeof entry.file_name !== "string" || entry.file_name.trim() === "" || entry.file_name.includes("\0"))
      malformed(`has no file name: ${textOf(entry.file_name)}`);
    else if (readId(entry.id) === null) malformed(`(${entry.file_name}) has no id: ${textOf(entry.id)}`);
    else {
      const found = finder.find(entry.file_name);
      const image: ListedImage = {
        id: readId(entry.id) as number | string,
        name: entry.file_name,
        file: "file" in found ? found.file : found.missing,
        size: sizeOf(entry),
        boxes: [],
        annotations: 0,
        header: null,
        fault: "file" in found ? null : { kind: "missing", reason: found.reason },
        orientation: 1,
        entry,
      };
      images.push(image);
      if ("file" in found && found.respelt) respelt.set(found.file, [...(respelt.get(found.file) ?? []), image]);
    }
  }
  settleRespelt(root, images, respelt, problems);
  for (const image of images) withHeader(image, headerOptions);
  return images;
}

/** A file that is found by another spelling of its name is taken, unless other entries mean the same file. */
function settleRespelt(
  root: string,
  images: readonly ListedImage[],
  respelt: ReadonlyMap<string, ListedImage[]>,
  problems: Problem[],
): void {
  if (respelt.size === 0) return;
  const uses = new Map<string, number>();
  for (const { file } of images) uses.set(file, (uses.get(file) ?? 0) + 1);
  for (const [file, group] of respelt)
    for (const image of group) {
      const shown = relative(root, file);
      if ((uses.get(file) ?? 0) > 1)
        image.fault = {
          kind: "missing",
          reason: `there is no such file; ${shown} is there, but several images may mean it`,
        };
      else {
        const message = `${image.name} is taken for the file ${shown}`;
        problems.push({ check: "names in another spelling", file, id: image.id, message });
      }
    }
}

function sizeOf({ width, height }: Entry): ListedImage["size"] {
  const size = [readLength(width), readLength(height)];
  return size[0] === null || size[1] === null ? null : { width: size[0], height: size[1] };
}

function addBoxes(
  { source, content, categories, joined, outlines }: CocoParts,
  images: readonly ListedImage[],
  problems: Problem[],
): void {
  const file = source.annotations;
  const byId = new Map<number | string, ListedImage>([...images].reverse().map((image) => [image.id, image]));
  const names = new Map(categories.map(({ id, name }) => [id, name]));
  const ids = new Set<number | string>();
  for (const [i, entry] of content.annotations.entries()) {
    if (!isEntry(entry)) {
      problems.push({
        check: "malformed entries",
        file,
        id: null,
        message: `annotations[${i}] of ${file} is no annotation: ${textOf(entry)}`,
      });
      continue;
    }
    const id = readId(entry.id);
    const where = id === null ? `annotations[${i}] of ${file}` : `annotation ${id} of ${file}`;
    const fault = (check: string, message: string): unknown =>
      problems.push({ check, file, id, message: `${where} ${message}` });
    if (id !== null && ids.has(id)) fault("duplicate annotation ids", "has the id of another annotation");
    if (id !== null) ids.add(id);
    const image = byId.get(readId(entry.image_id) ?? "");
    if (image !== undefined) image.annotations++;
    const category = readId(entry.category_id);
    const box = image === undefined ? null : boxOf(entry, image);
    const crowd = isCrowd(entry.iscrowd);
    if (image === undefined)
      fault("annotations of unknown images", `belongs to image ${textOf(entry.image_id)}, which is not listed`);
    else if (category === null) fault("malformed entries", `has no category: ${textOf(entry.category_id)}`);
    else if (box === null) fault("malformed boxes", `has no box of four numbers: ${textOf(entry.bbox)}`);
    else if (crowd === undefined)
      fault("malformed entries", `has an iscrowd that is neither 0 nor 1: ${textOf(entry.iscrowd)}`);
    else {
      if (box.from === "outline") fault("boxes from outlines", "has no box: the one around its outline is taken");
      const name = names.get(category);
      image.boxes.push({
        id,
        file,
        image,
        label: joined.labels.get(category) ?? -1,
        category: name === undefined ? String(category) : `${category} (${name})`,
        box: box.box,
        stated: textOf(entry.bbox),
        polygon: false,
        area: areaOf(entry, fault),
        crowd,
        ...(outlines ? { segmentation: readSegmentation(entry.segmentation) } : {}),
        entry,
      });
    }
  }
}

/** The box of an annotation, or the one around its outline where it has none. */
function boxOf(
  { bbox, segmentation }: Entry,
  image: ListedImage,
): { box: ListedBox["box"]; from: "box" | "outline" } | null {
  if (Array.isArray(bbox) && bbox.length === 4 && bbox.every(Number.isFinite)) {
    const [x, y, width, height] = bbox as number[];
    return { box: [x, y, width, height], from: "box" };
  }
  const none = bbox === undefined || bbox === null || (Array.isArray(bbox) && bbox.length === 0);
  const box = none ? outlineBox(segmentation) : null;
  return box === null ? null : { box: inFrame(box, segmentation, image), from: "outline" };
}

/** The box of a mask in pixels of its image, which may have another scale than the mask. */
function inFrame([x, y, w, h]: ListedBox["box"], segmentation: unknown, image: ListedImage): ListedBox["box"] {
  const size = isEntry(segmentation) ? (segmentation.size as [height: number, width: number]) : null;
  const { width, height } = frameOf(image);
  if (size === null || width === 0) return [x, y, w, h];
  const [sx, sy] = [width / size[1], height / size[0]];
  return [x * sx, y * sy, w * sx, h * sy];
}

/** The annotated area; null where it is left out, or is none. */
function areaOf({ area }: Entry, fault: (check: string, message: string) => void): number | null {
  if (area === undefined || area === null) return null;
  if (typeof area === "number" && Number.isFinite(area) && area >= 0) return area;
  fault("malformed areas", `has an area that is no number from 0: ${textOf(area)}; that of its box is taken`);
  return null;
}
