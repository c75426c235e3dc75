// Resolves images, folders and patterns to files.
import { type Dirent, lstatSync, readdirSync, realpathSync } from "node:fs";
import { basename, dirname, extname, join, normalize, resolve, sep } from "node:path";
import { filesIn, isClutter, isFile, isFolder } from "../../data/formats/find-file.js";
import { imageExtensions, otherImageExtensions } from "../../data/images/image-kinds.js";
import { DataError } from "../../support/errors.js";
import { absence } from "../../support/files/near-path.js";
import { isSystemError, reasonOf } from "../../support/files/system-error.js";
import { checkArgument, texts } from "../../support/options.js";
import { isFetched, isForeign, pathOf } from "./address.js";

/** What inputs lead to. */
export interface FoundImages {
  /** Links that lead nowhere are among them, so that reading them names them. */
  files: string[];
  /** Number of pictures in folders and patterns that cannot be decoded, by their kind, such as `HEIC`. */
  passedOver: Map<string, number>;
  /** Folders whose sub-folders have pictures that are not among the files, with the number of those. */
  below: Map<string, number>;
}

/**
 * Resolves files, folders (the images directly inside) and patterns: `*` and `?` in names, `**` for folders of any
 * depth, `{jpg,png}` for either. Links are followed. Inputs keep their order, the files of each are sorted, and no file
 * comes twice. Folders and patterns pass over hidden files, folders, and files that are no images. Addresses of images
 * (`http:`, `https:`, `data:`) stay as they are.
 * @throws DataError naming the input that leads to no image; PictureError for a `file:` address that is no path here;
 * UsageError for what is no list of texts
 * @example
 * import { imageFiles, RFDETR } from "rfdetr";
 * await using detector = await RFDETR.load("best.safetensors");
 * const predictions = detector.predict(imageFiles(["photos/"]), { batch: 8 });
 * for await (const { source, detections } of predictions) console.log(source, detections);
 */
export function imageFiles(inputs: readonly string[]): string[] {
  return findImages(inputs).files;
}

/**
 * As {@link imageFiles}, with what was passed over.
 * @param asTheyAre inputs that stand for an image without being its file
 * @throws DataError naming the input that leads to no image
 */
export function findImages(inputs: readonly string[], asTheyAre: readonly string[] = []): FoundImages {
  checkArgument("images", inputs, texts);
  const files = new Map<string, string>();
  const passedOver = new Map<string, number>();
  const nested = new Map<string, string[]>();
  for (const input of inputs) {
    const candidates = asTheyAre.includes(input) ? [{ path: input, named: true }] : resolveOne(input);
    const images = candidates.filter(({ named, path }) => named || isImage(path)).map(({ path }) => path);
    const others = new Map<string, number>();
    for (const { named, path } of candidates) {
      const kind = named ? undefined : otherImageExtensions.get(extname(path).toLowerCase());
      if (kind !== undefined) others.set(kind, (others.get(kind) ?? 0) + 1);
    }
    const below = picturesBelow(input);
    if (below.length > 0) nested.set(input, below);
    if (images.length === 0 && others.size === 0 && below.length > 0)
      throw new DataError(
        `Expected images in ${input} but found ${counted(below.length)} in its sub-folders only: give ${anyDepth(input)}`,
      );
    if (images.length === 0)
      throw new DataError(
        others.size === 0
          ? `Expected images but found none in ${input}`
          : `Expected images that can be decoded in ${input} but found only ${kindsInWords(others)}: convert them to JPEG or PNG`,
      );
    for (const file of images) if (!files.has(identity(file))) files.set(identity(file), file);
    for (const [kind, count] of others) passedOver.set(kind, (passedOver.get(kind) ?? 0) + count);
  }
  const below = new Map<string, number>();
  for (const [folder, paths] of nested) {
    const left = paths.filter((path) => !files.has(resolve(path))).length;
    if (left > 0) below.set(folder, left);
  }
  return { files: [...files.values()], passedOver, below };
}

/** The same for all spellings of a path. */
const identity = (file: string): string => (isFetched(file) ? file : resolve(file));

/** The images of a folder or a pattern, which are looked for when they are iterated. */
export class ImageList implements Iterable<string> {
  constructor(
    readonly text: string,
    readonly kind: "folder" | "pattern",
  ) {}

  [Symbol.iterator](): Iterator<string> {
    return imageFiles([this.text])[Symbol.iterator]();
  }
}

/** The images of text that names a folder or a pattern; null for text that names one image. */
export function imageList(text: string): ImageList | null {
  if (isFetched(text) || isForeign(text)) return null;
  try {
    const [path] = spellings(pathOf(text));
    if (path !== undefined) return isFolder(path) ? new ImageList(text, "folder") : null;
    return isPattern(text) ? new ImageList(text, "pattern") : null;
  } catch {
    // Reading it will say why it cannot be looked at.
    return null;
  }
}

const isPattern = (text: string): boolean => /[*?{]/.test(text);

/** Most folders below that are searched, to say that they have pictures too. */
const mostFolders = 1000;

/** Pictures in the sub-folders of a folder, of any depth; none where the input is no folder. Links are not followed. */
function picturesBelow(input: string): string[] {
  const open = isFetched(input) ? [] : spellings(pathOf(input)).filter(isFolder);
  const pictures: string[] = [];
  for (let next = 0; next < open.length && next < mostFolders; next++)
    for (const entry of entriesOf(open[next])) {
      const path = join(open[next], entry.name);
      if (isClutter(entry.name)) continue;
      if (entry.isDirectory()) open.push(path);
      else if (next > 0 && isImage(path)) pictures.push(path);
    }
  return pictures;
}

/** None for a folder that may not be read. */
function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** One sentence for each folder whose sub-folders have pictures that are not read. */
export function belowInWords(below: FoundImages["below"]): string[] {
  return [...below].map(
    ([folder, count]) =>
      `${counted(count)} in sub-folders of ${folder} ${count === 1 ? "is" : "are"} not read; give ${anyDepth(folder)} to read all`,
  );
}

const counted = (count: number) => `${count} ${count === 1 ? "picture" : "pictures"}`;

/** The pattern of all images of a folder and its sub-folders, quoted for a shell. */
const anyDepth = (folder: string) => `'${join(folder, "**")}'`;

/** Such as `3 files (HEIC), 1 file (SVG)`. */
export function kindsInWords(kinds: ReadonlyMap<string, number>): string {
  return [...kinds].map(([kind, count]) => `${count} ${count === 1 ? "file" : "files"} (${kind})`).join(", ");
}

const isImage = (path: string) => imageExtensions.has(extname(path).toLowerCase());

interface Candidate {
  path: string;
  /** Given by its own name, and so an image whatever its name is. */
  named: boolean;
}

function resolveOne(input: string): Candidate[] {
  try {
    return candidatesOf(input);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new DataError(`Expected readable images but ${input} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
}

function candidatesOf(input: string): Candidate[] {
  if (isFetched(input)) return [{ path: input, named: true }];
  if (isForeign(input))
    throw new DataError(
      `Expected an image, a folder, a pattern or an address of http or https but received ${input}: download the image first`,
    );
  for (const path of spellings(pathOf(input))) {
    if (isFolder(path)) return filesIn(path).map((file) => ({ path: file, named: false }));
    if (exists(path)) return [{ path, named: true }];
  }
  if (!isPattern(input))
    throw new DataError(`Expected an image, a video, a folder, a pattern or an address but ${input} ${absence(input)}`);
  const matches = alternatives(input).flatMap(matching);
  return [...new Set(matches)].sort().map((path) => ({ path, named: false }));
}

/** The path, and the one whose names have the same letters with accents composed in another way. */
function spellings(path: string): string[] {
  if (exists(path)) return [path];
  const folder = dirname(path);
  const wanted = basename(path).normalize("NFC");
  const parent = folder === path ? undefined : spellings(folder).find(isFolder);
  const twin = parent === undefined ? undefined : readdirSync(parent).find((name) => name.normalize("NFC") === wanted);
  return parent === undefined || twin === undefined ? [] : [join(parent, twin)];
}

/** Whether something has this name, a link that leads nowhere included. */
const exists = (path: string) => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

/** `a.{jpg,png}` as `a.jpg` and `a.png`. */
function alternatives(pattern: string): string[] {
  const group = /\{([^{}]*,[^{}]*)\}/.exec(pattern);
  if (group === null) return [pattern];
  const [all, inner] = group;
  return inner
    .split(",")
    .flatMap((choice) =>
      alternatives(pattern.slice(0, group.index) + choice + pattern.slice(group.index + all.length)),
    );
}

function matching(pattern: string): string[] {
  const parts = pattern.split(/[\\/]/);
  const fixed = parts.findIndex((part) => /[*?]/.test(part));
  if (fixed < 0) return isFile(pattern) ? [pattern] : [];
  const root = parts.slice(0, fixed).join(sep);
  const start = root === "" ? (/^[\\/]/.test(pattern) ? sep : ".") : root;
  return spellings(start)
    .filter(isFolder)
    .flatMap((folder) => walk(folder, parts.slice(fixed), []))
    .map((path) => (start === "." ? normalize(path) : path));
}

/** @param above real paths of the folders that led here: a link back to one of them is not followed */
function walk(folder: string, [part, ...rest]: readonly string[], above: readonly string[]): string[] {
  const here = realpathSync(folder);
  if (above.includes(here)) return [];
  const inside = [...above, here];
  const names = readdirSync(folder);
  if (part === "**") {
    const below = names
      .filter((name) => !isClutter(name) && isFolder(join(folder, name)))
      .flatMap((name) => walk(join(folder, name), ["**", ...rest], inside));
    return [...(rest.length === 0 ? filesIn(folder) : walk(folder, rest, above)), ...below];
  }
  const wanted = new RegExp(
    `^${part
      .normalize("NFC")
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replaceAll("*", ".*")
      .replaceAll("?", ".")}$`,
    "us",
  );
  const fitting = names
    .filter((name) => wanted.test(name.normalize("NFC")) && (part.startsWith(".") || !isClutter(name)))
    .map((name) => join(folder, name));
  if (rest.length === 0) return fitting.filter((path) => !isFolder(path));
  return fitting.filter(isFolder).flatMap((path) => walk(path, rest, inside));
}
