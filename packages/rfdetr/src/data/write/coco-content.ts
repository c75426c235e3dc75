// The annotation file of a split that is written. Ids stay as they stand, texts too: what other files say of an image,
// an annotation or a category goes by them.
import { maskArea, mostMaskPixels } from "../../masks/mask.js";
import { outlineMask } from "../../masks/outline.js";
import { agreeing, counted } from "../../support/format.js";
import { largestOf } from "../../support/lists.js";
import { joinClasses, readCategories } from "../formats/class-categories.js";
import { type Entry, isEntry, readId } from "../formats/entries.js";
import type { ListedClass } from "../formats/listing.js";
import { readSegmentation } from "../formats/segmentation.js";
import type { Size } from "../images/image-header.js";
import type { NamedImages, WrittenBox, WrittenDataset } from "./written.js";

/**
 * @param rest the annotation file that the split is a copy of, without images and annotations; null where it is of
 * another layout
 * @returns `remarks`: what is not as it was, one sentence each
 */
export function cocoContent(
  images: NamedImages,
  rest: Entry | null,
  { classes, classNames }: Pick<WrittenDataset, "classes" | "classNames">,
): { content: object; remarks: string[] } {
  const boxes = images.flatMap(([, image]) => image.boxes);
  const imageIds = ownIds(
    images.map(([, { entry }]) => entry.id),
    0,
  );
  // From 1: pycocotools counts a detection as false where it matches the annotation with id 0.
  const boxIds = ownIds(
    boxes.map(({ entry }) => entry.id),
    1,
  );
  const known = entriesOf(classes, rest);
  const categories = classNames.map((name, i) => {
    const entry = known[i] ?? {};
    return { supercategory: "none", ...entry, id: idIn(entry, classes[i]), name };
  });
  const annotations: Entry[] = [];
  const listed = images.map(([name, image], i) => {
    const { width, height } = image;
    for (const { label, box, entry } of image.boxes)
      annotations.push({
        iscrowd: 0,
        ...entry,
        area: entry.area ?? cocoArea(box, entry.segmentation, image),
        id: boxIds.ids[annotations.length],
        image_id: imageIds.ids[i],
        category_id: categories[label].id,
        bbox: box,
      });
    return { ...image.entry, id: imageIds.ids[i], file_name: name, width, height };
  });
  return {
    content: { ...rest, images: listed, annotations, categories },
    remarks: [
      ...(rest === null ? [] : [...newIds(imageIds, "image"), ...newIds(boxIds, "annotation")]),
      ...renumbered(classes, known),
      ...withoutKeyPoints(boxes),
    ],
  };
}

/** Ids as they are written, with the number of those that are new. */
interface OwnIds {
  ids: unknown[];
  added: number;
}

/** The ids that entries have. One without an id, or with that of another, gets a number above all of them. */
function ownIds(stated: readonly unknown[], first: number): OwnIds {
  const taken = new Set<number | string>();
  const own = stated.map((id) => {
    const read = readId(id);
    if (read === null || taken.has(read)) return null;
    taken.add(read);
    return id;
  });
  const numbers = [...taken].filter((id) => typeof id === "number");
  let next = Math.max(first, Math.floor(largestOf(numbers)) + 1);
  return { ids: own.map((id) => id ?? next++), added: stated.length - taken.size };
}

function newIds({ ids, added }: OwnIds, what: string): string[] {
  if (added === 0) return [];
  const lacking = agreeing(added, "gets a new id, since it has", "get new ids, since they have");
  return [`${added} of ${counted(ids.length, what)} ${lacking} none, or that of another`];
}

/** The category entry that each class has in the file of a split, which may number the classes in another way. */
function entriesOf(classes: readonly ListedClass[], rest: Entry | null): (Entry | undefined)[] {
  const entries = Array.isArray(rest?.categories) ? rest.categories.filter(isEntry) : [];
  const { labels } = joinClasses(classes, readCategories("", entries).categories);
  const known: (Entry | undefined)[] = classes.map(() => undefined);
  for (const entry of entries) {
    const label = labels.get(readId(entry.id) ?? "") ?? -1;
    if (label >= 0) known[label] ??= entry;
  }
  return known;
}

/** The id of a class as the file of a split writes it, which may have numbers as text; else that of the train split. */
const idIn = (entry: Entry, { id }: ListedClass): unknown => (readId(entry.id) === id ? entry.id : id);

function renumbered(classes: readonly ListedClass[], known: readonly (Entry | undefined)[]): string[] {
  const changed = classes.flatMap(({ name, id }, i) => {
    const before = readId(known[i]?.id);
    return before === null || before === id ? [] : [`${name} had ${before} and has ${id}`];
  });
  if (changed.length === 0) return [];
  const more = changed.length > 10 ? `, and ${changed.length - 10} more` : "";
  return [`categories have the ids of the train split: ${changed.slice(0, 10).join(", ")}${more}`];
}

/** The area of an object as COCO counts it: the pixels of its outline; that of the box where it has none. */
export function cocoArea([, , w, h]: WrittenBox["box"], segmentation: unknown, { width, height }: Size): number {
  const { outline } = readSegmentation(segmentation);
  if (outline === null || width * height > mostMaskPixels) return w * h;
  return maskArea(outlineMask(outline, height, width)) || w * h;
}

/** YOLO labels that are written as COCO annotations keep their boxes and polygons. */
function withoutKeyPoints(boxes: readonly WrittenBox[]): string[] {
  const lost = boxes.filter(
    ({ line, entry }) => line !== undefined && entry.segmentation === undefined && line.split(/\s+/).length > 5,
  ).length;
  return lost === 0 ? [] : [`the key points of ${counted(lost, "label")} are left out`];
}
