// Where predictions are written: to new files, or over those of earlier predictions. Nothing else is replaced.
import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join, sep } from "node:path";
import { RunDirectoryError } from "../../support/errors.js";
import { makeFolder, removeEmpty, syncFile, writeFailure } from "../../support/files/atomic.js";
import { FileLock, type Holder } from "../../support/files/file-lock.js";
import { scratchBeside } from "../../support/files/scratch.js";
import { sha256 } from "../../support/files/sha256.js";

/** Lists the files that predictions made in a folder, each with its hash, as `sha256sum` does. */
const listing = ".predictions.sha256";

/** Says who writes predictions into a folder. */
const lockName = ".predictions.lock";

/** A folder that predictions are written into. */
export class OutputFolder {
  #path: string | null;
  /** Files of earlier predictions, which may be replaced. */
  readonly #own: ReadonlySet<string>;

  /** Those of them that were not replaced yet. */
  readonly #left: Set<string>;

  /** Folders that were made here, each before those that it lies in. */
  readonly #made: string[];

  /** Held until the folder is closed; null for a folder of its own. */
  readonly #lock: FileLock | null;

  private constructor(path: string | null, own: ReadonlySet<string>, made: string[], lock: FileLock | null) {
    this.#path = path;
    this.#own = own;
    this.#left = new Set(own);
    this.#made = made;
    this.#lock = lock;
  }

  /**
   * Opens the folder `wanted`, which may have other files; without one, the first write makes the first of
   * `predictions`, `predictions-2`, … that does not exist. Files that earlier predictions made there, and that nobody
   * changed since, are replaced. Refuses all other names that are in use, whether by a file, a folder or a link.
   * Until it is closed, nobody else opens it.
   * @param names of the files to write, relative to the folder; one that ends in `/` is a folder of files whose names
   *   are not known yet
   * @param images that are read: none of them is replaced, even if a prediction made it
   * @throws RunDirectoryError before anything is written
   */
  static open(wanted: string | null, names: readonly string[], images: readonly string[]): OutputFolder {
    if (wanted === null) return new OutputFolder(null, new Set(), [], null);
    const made = makeFolder(wanted);
    const lock = lockOf(wanted);
    try {
      return new OutputFolder(wanted, replaceable(wanted, names, images), made, lock);
    } catch (error) {
      lock.release();
      removeEmpty(made);
      throw error;
    }
  }

  /** Where the folder is; null for one that was not named, before the first write. */
  get path(): string | null {
    return this.#path;
  }

  /**
   * Writes a file, whole or not at all.
   * @returns its path
   * @throws RunDirectoryError if the name is in use, or if the file cannot be written
   */
  write(name: string, content: Uint8Array | string): string {
    const temporary = this.temporary(name);
    try {
      writeFileSync(temporary, content, { flag: "wx" });
      return this.place(temporary, name, sha256(content));
    } catch (error) {
      throw writeFailure(join(this.#folder(), name), error);
    } finally {
      rmSync(temporary, { force: true });
    }
  }

  /** A path for a file that something else writes, until {@link place} gives it its name. */
  temporary(name: string): string {
    const path = join(this.#folder(), name);
    this.#made.unshift(...makeFolder(dirname(path)));
    return scratchBeside(path);
  }

  /**
   * Gives a whole file its name.
   * @param hash of its content
   * @returns its path
   * @throws RunDirectoryError if the name is in use, or if the file cannot be moved
   */
  place(temporary: string, name: string, hash = hashOf(temporary)): string {
    const path = join(this.#folder(), name);
    try {
      syncFile(temporary);
      if (this.#own.has(name)) renameSync(temporary, path);
      else renameToNew(temporary, path);
      this.#list(name, hash);
      this.#left.delete(name);
    } catch (error) {
      throw writeFailure(path, error);
    }
    return path;
  }

  /** Removes what earlier predictions made in a folder and this one did not make again. */
  removeLeft(folder: string): void {
    for (const name of this.#left) {
      if (!name.startsWith(join(folder, sep))) continue;
      const path = join(this.#folder(), name);
      rmSync(path, { force: true });
      removeEmpty([dirname(path)]);
    }
  }

  /**
   * Begins a file that grows line by line, so that what was written stays if the program is killed. Call `end` when it
   * is whole, so that later predictions may replace it.
   * @throws RunDirectoryError if the name is in use, or if the file cannot be written
   */
  lines(name: string): { write(line: string): void; end(): void } {
    const path = join(this.#folder(), name);
    this.#made.unshift(...makeFolder(dirname(path)));
    const tried = <T>(action: () => T): T => {
      try {
        return action();
      } catch (error) {
        throw writeFailure(path, error);
      }
    };
    const file = tried(() => {
      if (this.#own.has(name)) rmSync(path);
      return openSync(path, "wx");
    });
    return {
      write: (line) => tried(() => void writeSync(file, `${line}\n`)),
      end: () =>
        tried(() => {
          closeSync(file);
          this.#list(name, hashOf(path));
        }),
    };
  }

  #folder(): string {
    if (this.#path === null) {
      this.#path = freshFolder("predictions");
      this.#made.push(this.#path);
    }
    return this.#path;
  }

  /** Gives the folder free. Those folders that were made here and are empty are removed: nothing could be written. */
  close(): void {
    this.#lock?.release();
    removeEmpty(this.#made);
  }

  #list(name: string, hash: string): void {
    const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;
    const file = openSync(join(this.#path as string, listing), O_APPEND | O_CREAT | O_WRONLY | (O_NOFOLLOW ?? 0));
    try {
      writeSync(file, listed(hash, name));
    } finally {
      closeSync(file);
    }
  }
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r" };
const characters = new Map(Object.entries(escapes).map(([character, code]) => [code, character]));

/** A line of the listing. Names with line breaks or backslashes are escaped; a backslash before the line says so. */
function listed(hash: string, name: string): string {
  const escaped = name.replace(/[\\\n\r]/g, (character) => escapes[character]);
  return `${escaped === name ? "" : "\\"}${hash}  ${escaped}\n`;
}

const unescaped = (name: string): string => name.replace(/\\[\\nr]/g, (code) => characters.get(code) ?? code);

/** @throws RunDirectoryError while another process, or a thread of this one, writes there */
function lockOf(folder: string): FileLock {
  const path = join(folder, lockName);
  const taken = ({ pid, host, started }: Holder): Error =>
    new RunDirectoryError(
      `Expected an output folder that nobody else writes to but another prediction writes to ${folder} (pid ${pid} on ` +
        `${host} since ${started}): wait for its end, or choose another folder`,
      { hint: `If it does not run any more, remove ${path}` },
    );
  try {
    return FileLock.acquire(path, taken);
  } catch (error) {
    throw writeFailure(path, error);
  }
}

/** Those of the names that are in use and may be replaced. @throws RunDirectoryError if others are in use */
function replaceable(folder: string, names: readonly string[], images: readonly string[]): Set<string> {
  const used = names
    .flatMap((name) => (name.endsWith("/") ? filesBelow(folder, name.slice(0, -1)) : [name]))
    .filter((name) => isUsed(folder, name));
  const own = used.length === 0 ? new Set<string>() : ownFiles(folder, used, images);
  const foreign = used.filter((name) => !own.has(name));
  if (foreign.length === 0) return own;
  throw new RunDirectoryError(
    `Expected an output folder without the files to write but ${folder} has ${some(foreign)}: choose another folder`,
  );
}

/** Those of the names whose files predictions made: unchanged since, no links, and none of the images. */
function ownFiles(folder: string, names: readonly string[], images: readonly string[]): Set<string> {
  const list = join(folder, listing);
  if (!exists(list)?.isFile()) return new Set();
  const hashes = new Map<string, string>();
  for (const line of readFileSync(list, "utf8").split("\n")) {
    const [, escaped, hash, name] = /^(\\?)(.{64}) {2}(.*)$/s.exec(line) ?? [];
    if (hash !== undefined) hashes.set(escaped === "" ? name : unescaped(name), hash);
  }
  const read = new Set(images.map((image) => identity(statSync(image, { throwIfNoEntry: false }))));
  return new Set(
    names.filter((name) => {
      const path = join(folder, name);
      const entry = exists(path);
      const known = hashes.get(name);
      if (known === undefined || entry === undefined || !entry.isFile() || read.has(identity(entry))) return false;
      return hashOf(path) === known;
    }),
  );
}

/** The hash of a file, which may be larger than the memory. */
function hashOf(path: string): string {
  const hash = createHash("sha256");
  const file = openSync(path, "r");
  try {
    const piece = Buffer.alloc(2 ** 20);
    for (let read = readSync(file, piece); read > 0; read = readSync(file, piece)) hash.update(piece.subarray(0, read));
  } finally {
    closeSync(file);
  }
  return hash.digest("hex");
}

/** The same for all names of a file. */
const identity = (state: Stats | undefined) => `${state?.dev}:${state?.ino}`;

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

/** The files below a folder, and what stands in its place, relative to `root`. */
function filesBelow(root: string, name: string): string[] {
  if (exists(join(root, name))?.isDirectory() !== true) return [name];
  return readdirSync(join(root, name)).flatMap((child) => filesBelow(root, join(name, child)));
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
function exists(path: string): Stats | undefined {
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
