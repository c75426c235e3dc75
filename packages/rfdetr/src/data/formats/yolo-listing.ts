// Lists a split of a YOLO dataset: images in folders or lists, each with a text file of labels.
import { dirname, extname, relative, resolve } from "node:path";
import { DataError } from "../../support/errors.js";
import { dataFail, readText } from "../../support/files/text-file.js";
import { agreeing, counted } from "../../support/format.js";
import { append, largestOf, smallestOf } from "../../support/lists.js";
import { imageExtensions, otherImageExtensions } from "../images/image-kinds.js";
import type { Split } from "./dataset.js";
import { FileFinder, filesUnder } from "./find-file.js";
import type { SplitSource } from "./layout.js";
import { frameOf, type ListedImage, type Listing, type Problem } from "./listing.js";
import { type HeaderOptions, withHeader } from "./picture-file.js";
import { Segmentation } from "./segmentation.js";
import type { YoloContent } from "./yolo-file.js";
import { LabelFiles } from "./yolo-label-files.js";
import { type LabelFault, readLabelText } from "./yolo-labels.js";

type YoloSource = Extract<SplitSource, { layout: "yolo" }>;

/**
 * Lists a split.
 * @param content.classOf class of each number in the label files, or −1
 * @param content.outlines whether to read the outlines of the objects
 * @throws DataError if what the file names is not there; SystemError if a folder cannot be read
 */
export function listYolo(
  source: YoloSource,
  split: Split,
  { names, keypointNumbers, classOf, outlines }: YoloContent & { classOf: readonly number[]; outlines: boolean },
  headerOptions: HeaderOptions,
): Listing {
  if (source.lost !== null) throw new DataError(source.lost);
  const problems: Problem[] = [];
  const images: ListedImage[] = [];
  const used = new Set<number>();
  let annotations = 0;
  const paths = imagesOf(source, split, problems);
  const labels = new LabelFiles(
    source.yolo.root,
    paths.map(({ file }) => file),
  );
  for (const [id, where] of paths.entries()) {
    const image = withHeader(withoutLabels(id, where), headerOptions);
    images.push(image);
    const { path, text, unread = false } = labels.of(where.file, problems);
    if (unread) image.annotations = 1;
    if (text === null) continue;
    const { lines, faults } = readLabelText(text, names.length, keypointNumbers);
    for (const { label } of [...lines, ...faults]) if (label !== undefined) used.add(label);
    image.annotations = lines.length + faults.length;
    annotations += image.annotations;
    for (const fault of faults) problems.push(problemOf(fault, path));
    const { width, height } = frameOf(image);
    for (const { line, label, box, stated, polygon } of lines) {
      const [x, y, w, h] = box;
      image.boxes.push({
        id: line,
        file: path,
        image,
        stated,
        polygon: polygon !== null,
        label: classOf[label],
        category: `${label} (${names[label]})`,
        box: [x * width, y * height, w * width, h * height],
        area: null,
        crowd: false,
        ...(outlines ? { segmentation: segmentationOf(polygon, width, height) } : {}),
        entry: null,
      });
    }
  }
  append(problems, labels.unused());
  if (smallestOf(used) === 1 && largestOf(used) === names.length)
    problems.push({
      check: "classes numbered from 1",
      file: source.yolo.path,
      id: null,
      message: `the labels of the ${split} split use the classes 1 to ${names.length} and never 0, but the classes of ${source.yolo.path} are 0 to ${names.length - 1}: they seem to count from 1`,
    });
  const folders = [...new Set([...source.folders, ...labels.searched()])];
  return {
    layout: "yolo",
    split,
    source: source.yolo.path,
    folders,
    images,
    annotations,
    problems,
    outlines,
    rest: null,
  };
}

function segmentationOf(polygon: readonly number[] | null, width: number, height: number): Segmentation {
  if (polygon === null) return Segmentation.none;
  return Segmentation.ofPolygons([polygon.map((number, i) => number * (i % 2 === 0 ? width : height))]);
}

function withoutLabels(id: number, { name, file, missing }: ImagePath): ListedImage {
  const fault = missing === null ? null : ({ kind: "missing", reason: missing } as const);
  const unread = { size: null, boxes: [], annotations: 0, header: null, orientation: 1, entry: null };
  return { id, name, file, fault, ...unread };
}

function problemOf({ check, line, reason }: LabelFault, path: string): Problem {
  return { check, file: path, id: line, message: `line ${line} of ${path} ${reason}` };
}

interface ImagePath {
  name: string;
  file: string;
  missing: string | null;
}

/** The images of the folders, then those of the lists, each once. */
function imagesOf({ folders, lists, yolo }: YoloSource, split: Split, problems: Problem[]): ImagePath[] {
  const images = new Map<string, ImagePath>();
  const add = (image: ImagePath): unknown => images.has(image.file) || images.set(image.file, image);
  const other = new Map<string, number>();
  for (const folder of folders)
    for (const file of filesUnder(folder)) {
      const extension = extname(file).toLowerCase();
      if (imageExtensions.has(extension)) add({ name: relative(folder, file), file, missing: null });
      else if (otherImageExtensions.has(extension)) other.set(extension, (other.get(extension) ?? 0) + 1);
    }
  const respelt = new Map<string, ImagePath>();
  for (const list of lists) {
    const finder = new FileFinder(yolo.root, [dirname(list)], split);
    for (const line of readText(list, "list of images", 1e9, dataFail).split(/\r?\n/)) {
      const name = line.trim();
      if (name === "") continue;
      const own = resolve(dirname(list), name);
      const found = finder.find(name);
      if (!("file" in found)) add({ name, file: own, missing: found.reason });
      else if (found.respelt) respelt.set(own, { name, file: found.file, missing: null });
      else add({ name, file: found.file, missing: null });
    }
  }
  addRespelt(images, respelt, yolo.root, problems);
  for (const [extension, count] of other)
    problems.push({
      check: "images of other kinds",
      file: folders[0],
      id: null,
      message: `${counted(count, `${extension} file`)} of ${folders.join(", ")} cannot be decoded: convert ${agreeing(count, "it", "them")} to JPEG or PNG`,
    });
  return [...images.values()];
}

/** A file that is found by another spelling of its name is taken, unless other names mean the same file. */
function addRespelt(
  images: Map<string, ImagePath>,
  respelt: ReadonlyMap<string, ImagePath>,
  root: string,
  problems: Problem[],
): void {
  const uses = new Map<string, number>([...images.keys()].map((file) => [file, 1]));
  for (const { file } of respelt.values()) uses.set(file, (uses.get(file) ?? 0) + 1);
  for (const [own, image] of respelt) {
    const shown = relative(root, image.file);
    if (uses.get(image.file) === 1) {
      images.set(image.file, image);
      const message = `${image.name} is taken for the file ${shown}`;
      problems.push({ check: "names in another spelling", file: image.file, id: null, message });
    } else {
      const missing = `there is no such file; ${shown} is there, but several images may mean it`;
      images.set(own, { name: image.name, file: own, missing });
    }
  }
}
