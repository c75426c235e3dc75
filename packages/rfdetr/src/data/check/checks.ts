// The table of checks: what can be wrong with a split, how it is found, and what training does about it. `data check`,
// training, evaluation and the repaired copy all go by it.

import { agreeing, counted } from "../../support/format.js";
import { decodedSize, frameOf, type ListedBox, type ListedImage, type Listing } from "../formats/listing.js";
import { boxFault, shapeOf, whereIs } from "./box-frame.js";
import { type Check, foundByReader, ofBoxes, ofImages, ofSplit } from "./check-kinds.js";
import { outlineChecks } from "./outline-checks.js";

export const checks: readonly Check[] = [
  foundByReader(
    "missing split",
    "refused",
    "Training needs a train and a valid split. `rfdetr data split` makes them.",
  ),
  foundByReader("broken annotations", "refused", "The annotation file cannot be read, or lacks one of its lists."),
  foundByReader(
    "malformed entries",
    "refused",
    "An image, annotation or category lacks what it must have: an id, a name.",
  ),
  foundByReader(
    "duplicate category ids",
    "refused",
    "Two categories have one id: nobody can tell which one an annotation means.",
  ),
  foundByReader("classes of one name", "refused", "Two classes that are both used have one name. Rename one of them."),
  foundByReader(
    "classes numbered from 1",
    "refused",
    "YOLO numbers classes from 0; these labels begin at 1. Subtract 1 from each, or put a name in front.",
  ),
  foundByReader(
    "contradictions",
    "kept",
    "Two statements about the classes do not fit together; the message says which one counts.",
  ),
  foundByReader("classes joined by name", "kept", "A split numbers the classes in another way than the train split."),
  ofSplit("no images", "refused", "A split without images.", ({ images, split, source, folders }) =>
    images.length > 0 ? null : `the ${split} split of ${source} has no images; looked in ${folders.join(", ")}`,
  ),
  foundByReader(
    "images of other kinds",
    "kept",
    "Pictures that cannot be decoded, such as HEIC; they are passed over. Convert them.",
  ),
  {
    name: "duplicate image ids",
    training: "refused",
    about: "Two images have one id: nobody can tell which one an annotation means.",
    find: ({ images, source }) =>
      repeated(images, ({ id }) => id).map(([image, first]) => ({
        check: "duplicate image ids",
        file: image.file,
        id: image.id,
        message: `${image.name} has the id ${image.id} of ${first.name} in ${source}`,
      })),
  },
  foundByReader("duplicate annotation ids", "kept", "Ids of annotations are not used, except by other tools."),
  {
    name: "duplicate file names",
    training: "kept",
    about: "Two entries mean the same file. It is trained on twice as often.",
    find: ({ images }) =>
      repeated(images, ({ file }) => file).map(([image, first]) => ({
        check: "duplicate file names",
        file: image.file,
        id: image.id,
        message: `${image.name} (image ${image.id}) is the file of image ${first.id}`,
      })),
  },
  ofImages(
    "missing files",
    "refused",
    "An image that is annotated but not there. The message names what is there instead.",
    (image) => (image.fault?.kind === "missing" ? `${image.file} is missing: ${image.fault.reason}` : null),
  ),
  ofImages(
    "unreadable images",
    "refused",
    "A file that is no picture, is empty, too large, or of a kind that cannot be decoded. Replace or convert it.",
    (image) => (image.fault?.kind === "unreadable" ? image.fault.reason : null),
  ),
  ofImages(
    "undecodable images",
    "repaired",
    "A picture that is cut off or damaged. Training leaves it out when it meets it, and ends with exit code 3.",
    (image) => (image.fault?.kind === "undecodable" ? image.fault.reason : null),
  ),
  foundByReader(
    "names in another spelling",
    "kept",
    "A file is found although its name is written in another way: escaped, with another folder, other case.",
  ),
  ofSplit(
    "turned pictures",
    "kept",
    "Pictures whose EXIF tag says how they are turned. They are turned upright, unless the annotated size shows that the annotators saw them as stored.",
    turned,
  ),
  ofImages(
    "images without a size",
    "repaired",
    "Width or height is missing in the annotations; the file's are taken.",
    (image) =>
      image.entry === null || image.size !== null
        ? null
        : `${image.name} has no width and height in the annotations; those of the file are taken`,
  ),
  ofImages(
    "wrong image sizes",
    "repaired",
    "The annotations are of another scale than the file: boxes are scaled with it.",
    (image) => (shapeOf(image) === "scaled" ? `${sizes(image)}: its boxes are scaled` : null),
  ),
  ofImages(
    "images of another shape",
    "refused",
    "The annotated size and the file's differ in shape: the boxes belong to another picture, or to a turned or cropped one.",
    (image) => (shapeOf(image) === "other" ? `${sizes(image)}: the boxes would be stretched onto other pixels` : null),
  ),
  ofImages(
    "images without annotations",
    "kept",
    "Images without objects; they teach the model what is background.",
    ({ annotations, name }) => (annotations > 0 ? null : `${name} has no annotations`),
  ),
  foundByReader("labels without an image", "kept", "A label file whose picture is not there, or has another one."),
  foundByReader(
    "labels of two images",
    "kept",
    "Two pictures, such as `a.jpg` and `a.png`, have one label file. Rename one of them.",
  ),
  foundByReader(
    "malformed labels",
    "refused",
    "A line that is not a class and four numbers, or a class and a polygon.",
  ),
  foundByReader(
    "labels that are no fractions",
    "refused",
    "YOLO labels are fractions of the image from 0 to 1; these are pixels or percent.",
  ),
  foundByReader("annotations of unknown images", "refused", "An annotation whose image is not listed."),
  foundByReader("malformed boxes", "refused", "A box that is not four numbers."),
  foundByReader(
    "boxes from outlines",
    "repaired",
    "An annotation without a box but with a polygon or a mask; the box around it is taken.",
  ),
  foundByReader("malformed areas", "repaired", "An area that is no number; that of the box is taken."),
  {
    name: "unknown categories",
    training: "refused",
    about: "An annotation of a class that training does not know, such as one that only the valid split has.",
    find: (split) => [
      ...split.problems.filter(({ check }) => check === "unknown categories"),
      ...ofBoxes("unknown categories", "refused", "", (box) =>
        box.label >= 0
          ? null
          : `${whereIs(box)} has the category ${box.category}, which is no class of the train split`,
      ).find(split),
    ],
  },
  ofSplit(
    "boxes that look like fractions",
    "refused",
    "Boxes of a COCO file must be in pixels; these are all below 1.",
    fractions,
  ),
  ofSplit(
    "boxes that look like corners",
    "refused",
    "Boxes of a COCO file are left, top, width, height; these look like left, top, right, bottom.",
    corners,
  ),
  ofBoxes(
    "empty boxes",
    "repaired",
    "A box without width or height, or wholly outside of its image; it is left out.",
    (box) => (boxFault(box) === "empty" ? `the box of ${whereIs(box)} is empty: ${box.stated}` : null),
  ),
  ofBoxes(
    "boxes outside the image",
    "repaired",
    "A box that leaves its image by more than half a pixel; it is clipped.",
    (box) => (boxFault(box) === "outside" ? `the box of ${whereIs(box)} leaves the image: ${box.stated}` : null),
  ),
  {
    ...ofSplit(
      "no annotations",
      "refused",
      "Nothing to learn: no image has a box. The message says where it was looked for.",
      noBoxes,
    ),
    valid: "kept",
  },
  ...outlineChecks,
];

/** Pairs of an entry and the first one of the same key. */
function repeated<T>(entries: readonly T[], key: (entry: T) => unknown): [again: T, first: T][] {
  const first = new Map<unknown, T>();
  return entries.flatMap((entry): [T, T][] => {
    const known = first.get(key(entry));
    if (known !== undefined) return [[entry, known]];
    first.set(key(entry), entry);
    return [];
  });
}

function sizes({ name, size, header, orientation }: ListedImage): string {
  const file = header === null ? { width: 0, height: 0 } : decodedSize(header, orientation);
  return `${name} is annotated with ${size?.width}×${size?.height} pixels but has ${file.width}×${file.height}`;
}

function noBoxes({ images, split, source, layout, folders, annotations }: Listing): string | null {
  const boxes = images.flatMap((image) => image.boxes.filter((box) => boxFault(box) !== "empty"));
  if (boxes.some(({ crowd }) => !crowd)) return null;
  if (boxes.length > 0) return `every annotation of ${source} is a crowd region (iscrowd): there is nothing to learn`;
  const where = layout === "yolo" ? `; looked for labels in ${folders.join(", ")}` : ` in ${source}`;
  if (annotations === 0) return `the ${split} split has no annotations${where}`;
  return `none of the ${annotations} annotations of the ${split} split can be used${where}`;
}

function turned({ images }: Listing): string | null {
  const tagged = images.filter(({ header }) => header !== null && header.orientation !== 1);
  if (tagged.length === 0) return null;
  const upright = tagged.filter(({ orientation }) => orientation !== 1).length;
  const stored = tagged.length - upright;
  const parts = [
    ...(upright > 0 ? [`${upright} ${agreeing(upright, "is", "are")} turned upright`] : []),
    ...(stored > 0
      ? [`${stored} ${agreeing(stored, "stays", "stay")} as stored, because that is the annotated size`]
      : []),
  ];
  return `${tagged.length} of ${counted(images.length, "picture")} ${agreeing(tagged.length, "has an EXIF tag that turns it", "have an EXIF tag that turns them")}, such as ${tagged[0].name}: ${parts.join(", ")}`;
}

/** COCO boxes of images that are large enough to tell. */
function judged({ images, layout }: Listing): ListedBox[] {
  if (layout === "yolo") return [];
  return images.flatMap((image) => (Math.min(frameOf(image).width, frameOf(image).height) >= 8 ? image.boxes : []));
}

function fractions(split: Listing): string | null {
  const boxes = judged(split);
  const small = boxes.filter(({ box }) => box.every((number) => Math.abs(number) <= 1));
  if (boxes.length === 0 || small.length < 0.9 * boxes.length) return null;
  return `${small.length} of ${counted(boxes.length, "box", "boxes")} of ${split.source} ${agreeing(small.length, "has", "have")} no number above 1, such as ${small[0].stated}: ${agreeing(small.length, "it looks", "they look")} like fractions of the image, not pixels`;
}

/** Corners look like boxes that leave the image, and whose last two numbers are always larger than the first two. */
function corners(split: Listing): string | null {
  const boxes = judged(split);
  const outside = boxes.filter((box) => boxFault(box) === "outside");
  const likeCorners = boxes.every(({ box: [x, y, right, bottom], image }) => {
    const { width, height } = frameOf(image);
    return right > x && bottom > y && right <= width + 0.5 && bottom <= height + 0.5;
  });
  if (outside.length < Math.max(2, 0.2 * boxes.length) || !likeCorners) return null;
  return `${outside.length} of ${boxes.length} boxes of ${split.source} leave their image, and all would fit if they were corners, such as ${outside[0].stated}: they look like left, top, right, bottom`;
}
