// Where predictions are written: to new files only, so that nothing of the user's is replaced.
import { randomUUID } from "node:crypto";
import { linkSync, lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join, relative, resolve, sep } from "node:path";
import { makeFolder, syncFile, writeFailure } from "../support/atomic.js";
import { RunDirectoryError } from "../support/errors.js";

/** Formats that pictures are written in; images in any other become JPEG. */
const writable: ReadonlySet<string> = new Set([".jpg", ".jpeg", ".png", ".webp"]);

/**
 * A name for the picture of each image: its path below the folder that all images share, so that images of the same
 * name in different folders keep different names. Pictures keep the format of their image where it can be written.
 */
export function pictureNames(files: readonly string[]): string[] {
  const paths = files.map((file) => resolve(file));
  const root = commonFolder(paths);
  const taken = new Set<string>();
  return paths.map((path) => {
    const name = relative(root, path);
    const extension = extname(name);
    const ending = writable.has(extension.toLowerCase()) ? extension : ".jpg";
    const stem = ending === extension ? name.slice(0, -extension.length) : name;
    let free = stem + ending;
    for (let n = 2; taken.has(free); n++) free = `${stem}-${n}${ending}`;
    taken.add(free);
    return free;
  });
}

/** The deepest folder that all paths lie in. */
function commonFolder(paths: readonly string[]): string {
  let shared = dirname(paths[0] ?? resolve("x")).split(sep);
  for (const path of paths) {
    const parts = dirname(path).split(sep);
    const differs = shared.findIndex((part, i) => part !== parts[i]);
    if (differs >= 0) shared = shared.slice(0, differs);
  }
  return shared.join(sep) + sep;
}

/** A folder that new files are written into. */
export class OutputFolder {
  #path: string | null;

  private constructor(path: string | null) {
    this.#path = path;
  }

  /**
   * Opens the folder `wanted`, which may have other files; without one, the first write makes the first of
   * `predictions`, `predictions-2`, … that does not exist. Refuses names that are in use there, whether by a file, a
   * folder or a link: an image given as input may be one of them.
   * @param names of the files to write, relative to the folder
   * @throws RunDirectoryError before anything is written
   */
  static open(wanted: string | null, names: readonly string[]): OutputFolder {
    if (wanted === null) return new OutputFolder(null);
    const used = names.filter((name) => isUsed(wanted, name));
    if (used.length > 0)
      throw new RunDirectoryError(
        `Expected an output folder without the files to write but ${wanted} has ${some(used)}: choose another folder`,
      );
    makeFolder(wanted);
    return new OutputFolder(wanted);
  }

  /** Where the folder is; null for one that was not named, before the first write. */
  get path(): string | null {
    return this.#path;
  }

  /**
   * Writes a new file, whole or not at all.
   * @returns its path
   * @throws RunDirectoryError if the name is in use, or if the file cannot be written
   */
  write(name: string, content: Uint8Array | string): string {
    this.#path ??= freshFolder("predictions");
    const path = join(this.#path, name);
    makeFolder(dirname(path));
    const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.partial`);
    try {
      writeFileSync(temporary, content, { flag: "wx" });
      syncFile(temporary);
      renameToNew(temporary, path);
    } catch (error) {
      throw writeFailure(path, error);
    } finally {
      rmSync(temporary, { force: true });
    }
    return path;
  }
}

/** Gives a file a new name, unless that name is in use. A rename would replace the file that has it. */
function renameToNew(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw error;
    // Some file systems have no hard links. There an empty file of our own is replaced.
    writeFileSync(to, "", { flag: "wx" });
    renameSync(from, to);
  }
}

/** Whether a name exists below a folder, or a part of its path is a link, which may lead to the images. */
function isUsed(folder: string, name: string): boolean {
  if (exists(join(folder, name)) !== undefined) return true;
  for (let parent = dirname(name); parent !== "."; parent = dirname(parent)) {
    const entry = exists(join(folder, parent));
    if (entry !== undefined && !entry.isDirectory()) return true;
  }
  return false;
}

/** What stands at a path; undefined if nothing does, or where writing will say why it cannot be looked at. */
function exists(path: string): ReturnType<typeof lstatSync> {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}

function freshFolder(name: string): string {
  for (let n = 1; ; n++) {
    const path = n === 1 ? name : `${name}-${n}`;
    try {
      mkdirSync(path);
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw writeFailure(path, error);
    }
  }
}

function some(names: readonly string[]): string {
  return names.length === 1 ? names[0] : `${names[0]} and ${names.length - 1} more of them`;
}
