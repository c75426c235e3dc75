// Finds and reads the label file of each image of a YOLO dataset.
import { lstatSync, readdirSync } from "node:fs";
import { basename, dirname, extname, join, resolve, sep } from "node:path";
import type { DataError } from "../../support/errors.js";
import { dataFail, readText } from "../../support/files/text-file.js";
import { isClutter, isFolder, isInside, spellingKey } from "./find-file.js";
import type { Problem } from "./listing.js";

/** Text files beside labels that are none. */
const otherTexts = new Set(["classes.txt", "labels.txt", "train.txt", "val.txt"]);

const withoutExtension = (path: string): string => path.slice(0, path.length - extname(path).length);

/** Label files of a folder, by their names and by the spelling of these. */
interface LabelFolder {
  byName: Map<string, string>;
  bySpelling: Map<string, string[]>;
}

/** Label files, and which image each of them belongs to. */
export class LabelFiles {
  readonly #root: string;
  /** Paths of the images without their extensions. */
  readonly #stems: ReadonlySet<string>;
  readonly #folders = new Map<string, LabelFolder>();
  /** The image of each label file. */
  readonly #used = new Map<string, string>();
  /** Names in the folders of images whose labels are in others. */
  readonly #beside = new Map<string, ReadonlySet<string>>();

  /**
   * @param root folder of the dataset: labels of an image in it are in it too
   * @param images paths of all images of the split
   */
  constructor(root: string, images: readonly string[]) {
    this.#root = resolve(root);
    this.#stems = new Set(images.map(withoutExtension));
  }

  /** Path of the labels of an image, and their text; null if there are none, or they cannot be read. */
  of(image: string, problems: Problem[]): { path: string; text: string | null; unread?: boolean } {
    const name = `${basename(image, extname(image))}.txt`;
    const folder = this.#folderOf(image);
    const path = this.#fileOf(image, folder, name);
    const file = path ?? join(folder, name);
    const report = (check: string, message: string): unknown => problems.push({ check, file, id: null, message });
    if (path === null) {
      const blocked = this.#notFolder(folder);
      if (blocked !== null) report("malformed labels", `the labels of ${image} are missing: ${blocked} is no folder`);
      return { path: file, text: null, unread: blocked !== null };
    }
    const other = this.#used.get(path);
    if (other !== undefined)
      report("labels of two images", `${path} is taken for the labels of ${image} and of ${other}`);
    this.#used.set(path, image);
    if (dirname(path) !== dirname(image) && this.#namesIn(dirname(image)).has(name))
      report(
        "labels without an image",
        `${join(dirname(image), name)} is not read: ${image} has its labels in ${path}`,
      );
    if (basename(path) !== name)
      report(
        "names in another spelling",
        `${path} is taken for the labels of ${image}, whose name is spelt in another way`,
      );
    try {
      return { path, text: readText(path, "label file", 10e6, dataFail) };
    } catch (error) {
      report("malformed labels", (error as DataError).message);
      return { path, text: null, unread: true };
    }
  }

  /** Whether there are labels of an image. */
  has(image: string): boolean {
    return this.#fileOf(image, this.#folderOf(image), `${basename(image, extname(image))}.txt`) !== null;
  }

  searched(): string[] {
    return [...this.#folders.keys()];
  }

  /** A problem for each label file that belongs to no image. */
  unused(): Problem[] {
    const files = [...this.#folders.values()].flatMap(({ byName }) => [...byName.values()]);
    return files
      .filter((file) => !this.#used.has(file) && !otherTexts.has(basename(file)))
      .map((file) => ({
        check: "labels without an image",
        file,
        id: null,
        message: `${file} has the name of no image`,
      }));
  }

  /** The file of that name, else the only one that is spelt in another way and belongs to no other image. */
  #fileOf(image: string, folder: string, name: string): string | null {
    const { byName, bySpelling } = this.#filesIn(folder);
    const exact = byName.get(name);
    if (exact !== undefined) return exact;
    const others = (bySpelling.get(spellingKey(name)) ?? []).filter(
      (path) => !this.#stems.has(join(dirname(image), withoutExtension(basename(path)))),
    );
    return others.length === 1 ? others[0] : null;
  }

  /**
   * `…/images/…/x.jpg` has its labels in `…/labels/…/x.txt`: the last `images` in the path for which that folder
   * exists, else the folder of the image itself.
   */
  #folderOf(image: string): string {
    const own = dirname(image);
    const parts = own.split(sep);
    const inside = isInside(this.#root, resolve(image));
    const folders = parts
      .flatMap((part, i) => (part === "images" ? [parts.with(i, "labels").join(sep)] : []))
      .filter((folder) => !inside || isInside(this.#root, resolve(folder)))
      .reverse();
    const found = folders.find((folder) => this.#folders.has(folder) || isFolder(folder));
    if (found !== undefined) return found;
    const beside = this.#fileOf(image, own, `${basename(image, extname(image))}.txt`);
    return beside !== null ? own : (folders[0] ?? own);
  }

  /** What stands in the place of a folder of labels, such as a file, or a link that leads nowhere. */
  #notFolder(folder: string): string | null {
    for (let path = resolve(folder); isInside(this.#root, path); path = dirname(path)) {
      if (isFolder(path)) return null;
      if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return path;
    }
    return null;
  }

  #namesIn(folder: string): ReadonlySet<string> {
    const known = this.#beside.get(folder);
    if (known !== undefined) return known;
    // A list of images may name some in a folder that is not there.
    const names = new Set(isFolder(folder) ? readdirSync(folder) : []);
    this.#beside.set(folder, names);
    return names;
  }

  #filesIn(folder: string): LabelFolder {
    const known = this.#folders.get(folder);
    if (known !== undefined) return known;
    // A folder called like a label file counts, to be named.
    const names = isFolder(folder) ? readdirSync(folder).filter((name) => !isClutter(name)) : [];
    const texts = names.filter((name) => extname(name).toLowerCase() === ".txt").sort();
    const paths = texts.map((name) => join(folder, name));
    const files: LabelFolder = { byName: new Map(paths.map((path) => [basename(path), path])), bySpelling: new Map() };
    for (const path of paths) {
      const key = spellingKey(basename(path));
      files.bySpelling.set(key, [...(files.bySpelling.get(key) ?? []), path]);
    }
    this.#folders.set(folder, files);
    return files;
  }
}
