// Lists a split of a YOLO dataset: images in folders or lists, each with a text file of labels.
import { basename, dirname, extname, join, relative, resolve, sep } from "node:path";
import { DataError } from "../../support/errors.js";
import { type Fail, readText } from "../../support/text-file.js";
import { imageExtensions, otherImageExtensions } from "../images/image-kinds.js";
import type { Split } from "./dataset.js";
import { FileFinder, filesIn, filesUnder, isFolder, spellingKey } from "./find-file.js";
import type { SplitSource } from "./layout.js";
import { frameOf, type ListedImage, type Listing, type Problem } from "./listing.js";
import { type ReadHeader, withHeader } from "./picture-file.js";
import type { YoloContent } from "./yolo-file.js";
import { type LabelFault, readLabelText } from "./yolo-labels.js";

const fail: Fail = (message, cause) => new DataError(message, { cause });

type YoloSource = Extract<SplitSource, { layout: "yolo" }>;

/**
 * Lists a split.
 * @param classOf class of each number in the label files, or −1
 * @throws DataError if what the file names is not there; SystemError if a folder cannot be read
 */
export function listYolo(
  source: YoloSource,
  split: Split,
  content: YoloContent,
  classOf: readonly number[],
  readHeader: ReadHeader,
): Listing {
  if (source.lost !== null) throw new DataError(source.lost);
  const { names, keypointNumbers } = content;
  const problems: Problem[] = [];
  const labels = new LabelFiles();
  const images: ListedImage[] = [];
  let annotations = 0;
  for (const [i, { name, file, missing }] of imagesOf(source, split, problems).entries()) {
    const bare: ListedImage = {
      id: i,
      name,
      file,
      size: null,
      boxes: [],
      annotations: 0,
      header: null,
      fault: missing === null ? null : { kind: "missing", reason: missing },
      orientation: 1,
      entry: null,
    };
    const image = withHeader(bare, readHeader);
    images.push(image);
    const { path, text } = labels.of(file, problems);
    if (text === null) continue;
    const { lines, faults } = readLabelText(text, names.length, keypointNumbers);
    image.annotations = lines.length + faults.length;
    annotations += image.annotations;
    for (const fault of faults) problems.push(problemOf(fault, path));
    const { width, height } = frameOf(image);
    for (const { line, label, box, stated } of lines) {
      const [x, y, w, h] = box;
      const pixels: ListedImage["boxes"][number]["box"] = [x * width, y * height, w * width, h * height];
      const category = `${label} (${names[label]})`;
      image.boxes.push({
        id: line,
        file: path,
        image,
        label: classOf[label],
        category,
        box: pixels,
        stated,
        area: null,
        crowd: false,
        entry: null,
      });
    }
  }
  problems.push(...labels.unused(), ...content.remarks.map((message) => remark(message, source.yolo.path)));
  const folders = [...new Set([...source.folders, ...labels.searched()])];
  return { layout: "yolo", split, source: source.yolo.path, folders, images, annotations, problems, rest: null };
}

const remark = (message: string, file: string): Problem => ({ check: "contradictions", file, id: null, message });

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
  const seen = new Set<string>();
  const images: ImagePath[] = [];
  const add = (image: ImagePath): void => {
    if (seen.has(image.file)) return;
    seen.add(image.file);
    images.push(image);
  };
  const other = new Map<string, number>();
  for (const folder of folders)
    for (const file of filesUnder(folder)) {
      const extension = extname(file).toLowerCase();
      if (imageExtensions.has(extension)) add({ name: relative(folder, file), file, missing: null });
      else if (otherImageExtensions.has(extension)) other.set(extension, (other.get(extension) ?? 0) + 1);
    }
  for (const list of lists) {
    const finder = new FileFinder(yolo.root, [dirname(list)], split);
    for (const line of readText(list, "list of images", 1e9, fail).split(/\r?\n/)) {
      if (line.trim() === "") continue;
      const own = resolve(dirname(list), line.trim());
      const found = finder.find(line.trim());
      add(
        "file" in found
          ? { name: line.trim(), file: found.file, missing: null }
          : { name: line.trim(), file: own, missing: found.reason },
      );
    }
  }
  for (const [extension, count] of other)
    problems.push({
      check: "images of other kinds",
      file: folders[0],
      id: null,
      message: `${count} ${extension} files of ${folders.join(", ")} cannot be decoded: convert them to JPEG or PNG`,
    });
  return images;
}

/** Label files by the spelling of their names; knows which of them belong to an image. */
class LabelFiles {
  readonly #folders = new Map<string, Map<string, string>>();
  readonly #used = new Set<string>();

  /** Path of the labels of an image, and their text; null if there are none. */
  of(image: string, problems: Problem[]): { path: string; text: string | null } {
    const name = `${basename(image, extname(image))}.txt`;
    const folder = this.#folderOf(image);
    const path = this.#filesIn(folder).get(spellingKey(name));
    if (path === undefined) return { path: join(folder, name), text: null };
    this.#used.add(path);
    if (basename(path) !== name) {
      const message = `${path} is taken for the labels of ${image}, whose name is spelt in another way`;
      problems.push({ check: "names in another spelling", file: path, id: null, message });
    }
    try {
      return { path, text: readText(path, "label file", 10e6, fail) };
    } catch (error) {
      problems.push({ check: "malformed labels", file: path, id: null, message: (error as DataError).message });
      return { path, text: null };
    }
  }

  searched(): string[] {
    return [...this.#folders.keys()];
  }

  /** A problem for each label file that belongs to no image. */
  unused(): Problem[] {
    return [...this.#folders.values()].flatMap((files) =>
      [...files.values()]
        .filter(
          (file) =>
            !this.#used.has(file) && !["classes.txt", "labels.txt", "train.txt", "val.txt"].includes(basename(file)),
        )
        .map((file) => ({
          check: "labels without an image",
          file,
          id: null,
          message: `${file} has the name of no image`,
        })),
    );
  }

  /**
   * `…/images/…/x.jpg` has its labels in `…/labels/…/x.txt`: the last `images` in the path for which that folder
   * exists, else the folder of the image itself.
   */
  #folderOf(image: string): string {
    const own = dirname(image);
    const parts = own.split(sep);
    const folders = parts
      .flatMap((part, i) => (part === "images" ? [parts.with(i, "labels").join(sep)] : []))
      .reverse();
    const found = folders.find((folder) => this.#folders.has(folder) || isFolder(folder));
    if (found !== undefined) return found;
    const beside = this.#filesIn(own);
    return beside.has(spellingKey(`${basename(image, extname(image))}.txt`)) ? own : (folders[0] ?? own);
  }

  #filesIn(folder: string): Map<string, string> {
    const known = this.#folders.get(folder);
    if (known !== undefined) return known;
    const names = isFolder(folder) ? filesIn(folder).filter((file) => extname(file).toLowerCase() === ".txt") : [];
    const files = new Map(names.map((file) => [spellingKey(basename(file)), file]));
    this.#folders.set(folder, files);
    return files;
  }
}
