// Finds the file that an annotation means: tools write paths of other machines, escapes, other spellings.
import { type Dirent, lstatSync, readdirSync, realpathSync, type Stats, statSync } from "node:fs";
import { basename, dirname, extname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { suggest } from "../../support/suggest.js";
import { type Split, splitWords } from "./dataset.js";

/** The file of a name in an annotation, or why there is none. */
export type FileLookup =
  | { file: string /** Whether the name had to be read in another way. */; respelt: boolean }
  | { missing: string /** Why, as the end of a sentence. */; reason: string };

/** Whether a path is a folder or lies in it. */
export function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** Whether there is a file, links followed. Devices and pipes are files too: reading their header refuses them. */
export function isFile(path: string): boolean {
  return stateOf(path)?.isDirectory() === false;
}

/** Whether there is a folder, links followed. */
export function isFolder(path: string): boolean {
  return stateOf(path)?.isDirectory() ?? false;
}

/** What is at a path; undefined for one that no file can have: too long, or with a NUL. */
function stateOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** Names that systems leave beside pictures: hidden files, `._` twins of macOS, thumbnails. */
export function isClutter(name: string): boolean {
  return name.startsWith(".") || name === "Thumbs.db" || name === "__MACOSX" || name === "desktop.ini";
}

/** Files of a folder by name, links followed, clutter left out. A link that leads nowhere counts, to be named. */
export function filesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !isClutter(name))
    .sort()
    .map((name) => join(folder, name))
    .filter((path) => !isFolder(path));
}

/** Files under a folder, at any depth, links followed, clutter left out, in order of their paths. */
export function filesUnder(folder: string): string[] {
  const found: string[] = [];
  // A folder that a link leads to again, perhaps in a circle, has been seen.
  const seen = new Set<string>();
  const visit = (path: string): void => {
    const real = realpathSync(path);
    if (seen.has(real)) return;
    seen.add(real);
    const entries = readdirSync(path, { withFileTypes: true }).filter(({ name }) => !isClutter(name));
    const isLinkedFolder = (inner: string, entry: Dirent): boolean => entry.isSymbolicLink() && isFolder(inner);
    // Folders themselves before links to them: a picture has the name of its own place.
    const later: string[] = [];
    for (const entry of entries) {
      const inner = join(path, entry.name);
      if (entry.isDirectory()) visit(inner);
      else if (isLinkedFolder(inner, entry)) later.push(inner);
      else found.push(inner);
    }
    for (const inner of later) visit(inner);
  };
  visit(folder);
  return found.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Names that differ only in case or in how accents are composed have the same key. */
export const spellingKey = (name: string): string => name.normalize("NFC").toLowerCase();

/** Finds files by the names in annotations. */
export class FileFinder {
  readonly #root: string;
  readonly #folders: readonly string[];
  /** Files of the folders by the key of their base name, and by that without the ending; made when one is missing. */
  #index: { byName: Map<string, string[]>; byStem: Map<string, string[]> } | null = null;

  /**
   * @param root no file outside of it is taken
   * @param folders searched in this order
   * @param split whose images they are: a file of the same name in the folder of another split is another picture
   */
  constructor(
    root: string,
    folders: readonly string[],
    private readonly split: Split,
  ) {
    this.#root = resolve(root);
    this.#folders = [...new Set([...folders, root].map((folder) => resolve(folder)))];
  }

  /** The file of a name. */
  find(name: string): FileLookup {
    const exact = this.#under(name);
    if (exact !== null) return { file: exact, respelt: false };
    const plain = name.trim().replaceAll("\\", "/");
    for (const text of new Set([plain, unescaped(plain)])) {
      // A path of another machine or folder: its end is what counts.
      const parts = text
        .replace(/^[a-z]:/i, "")
        .split("/")
        .filter((part) => part !== "" && part !== ".");
      for (let from = 0; from < parts.length; from++) {
        const file = this.#under(parts.slice(from).join("/"));
        if (file !== null) return { file, respelt: true };
      }
    }
    return this.#bySpelling(basename(unescaped(plain)), resolve(this.#folders[0], name));
  }

  #under(name: string): string | null {
    for (const folder of this.#folders) {
      const path = resolve(folder, name);
      if (isInside(this.#root, path) && isFile(path)) return path;
    }
    return null;
  }

  /** A file that differs in case, in the composition of accents, or has an ending where the name has none. */
  #bySpelling(name: string, missing: string): FileLookup {
    const { byName, byStem } = this.#indexed();
    const key = spellingKey(name);
    const alike = byName.get(key) ?? (extname(name) === "" ? byStem.get(key) : undefined) ?? [];
    const same = alike.filter((file) => !this.#isForeign(file));
    if (same.length === 1) return { file: same[0], respelt: true };
    if (!isInside(this.#root, missing)) return { missing, reason: "it leads out of the dataset folder" };
    const shown = (file: string): string => relative(this.#root, file);
    if (lstatSync(missing, { throwIfNoEntry: false })?.isSymbolicLink())
      return { missing, reason: "it is a link to a file that is gone" };
    if (same.length > 1)
      return { missing, reason: `there is no such file; it may be ${same.slice(0, 3).map(shown).join(" or ")}` };
    const near = byStem.get(stemOf(key))?.[0] ?? byName.get(suggest(key, near5000(byName)) ?? "")?.[0];
    return { missing, reason: `there is no such file${near === undefined ? "" : `, but ${shown(near)} is there`}` };
  }

  /** Whether a file lies in a folder that is called like another split, such as `val2017`. */
  #isForeign(file: string): boolean {
    const folders = relative(this.#root, dirname(file)).toLowerCase().split(sep);
    const plain = folders.map((folder) => folder.replace(/\d+$/, ""));
    const isOf = (words: readonly string[]): boolean => plain.some((folder) => words.includes(folder));
    const others = Object.entries(splitWords).filter(([split]) => split !== this.split);
    return !isOf(splitWords[this.split]) && others.some(([, words]) => isOf(words));
  }

  #indexed(): { byName: Map<string, string[]>; byStem: Map<string, string[]> } {
    if (this.#index !== null) return this.#index;
    const [byName, byStem] = [new Map<string, string[]>(), new Map<string, string[]>()];
    const add = (map: Map<string, string[]>, key: string, file: string): void => {
      const list = map.get(key);
      if (list === undefined) map.set(key, [file]);
      else list.push(file);
    };
    for (const file of new Set(this.#folders.filter(isFolder).flatMap(filesUnder))) {
      const key = spellingKey(basename(file));
      add(byName, key, file);
      add(byStem, stemOf(key), file);
    }
    this.#index = { byName, byStem };
    return this.#index;
  }
}

const stemOf = (name: string): string => basename(name, extname(name));

/** Comparing a name with every file of a large dataset takes too long. */
function near5000(names: ReadonlyMap<string, unknown>): string[] {
  return names.size <= 5000 ? [...names.keys()] : [];
}

/** A name without percent escapes; unchanged if they are none. */
function unescaped(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
