// Atomic writes: files and folders are written under a temporary name, flushed, then renamed.
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { RunDirectoryError } from "../errors.js";
import { whileSaving } from "./saving.js";
import { besideName, discard, isScratch, leftoversOf, scratchBeside } from "./scratch.js";
import { isFull, isSystemError, reasonOf } from "./system-error.js";

/** Suffix of a folder that is being written; a leftover with it comes from an interrupted write. */
const partial = ".partial";
/** Suffix of the folder that was replaced. */
export const previousSuffix = ".previous";

/** Flushes the entries of a folder, so that a rename inside it survives a power cut. */
function syncFolder(path: string): void {
  // Windows cannot open a folder.
  if (process.platform === "win32") return;
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Flushes a file to the disk. */
export function syncFile(path: string): void {
  const handle = openSync(path, "r+");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Puts a file that `write(temporaryPath)` writes under its name. */
export type PutFile = (path: string, write: (temporary: string) => void) => void;

/**
 * Replaces a file by the one that `write(temporaryPath)` writes. On failure the old file is unchanged and the
 * temporary file is removed. Of several that do so at the same time, each writes a file of its own, and the last one
 * stays; what one leaves that is killed is removed by the next that writes in the folder.
 * @throws RunDirectoryError in one sentence when the disk is full or the folder cannot be written.
 */
export function replaceFile(path: string, write: (temporary: string) => void): void {
  whileSaving(path, () => writeAndRename(path, write));
}

function writeAndRename(path: string, write: (temporary: string) => void): void {
  const temporary = scratchBeside(path);
  try {
    refuseDevice(path);
    write(temporary);
    syncFile(temporary);
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (error) {
    discard(temporary);
    throw writeFailure(path, error);
  }
}

/** What another name would be given to, and lost. */
function refuseDevice(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isFile() && !found.isDirectory())
    throw new RunDirectoryError(`Expected a file to write but ${path} is a device or a pipe`);
}

/**
 * Puts a file that `write(temporaryPath)` writes under a name that no file has yet. Of several programs that do so at
 * the same time, one succeeds.
 * @throws RunDirectoryError as {@link replaceFile} does, and where a file appeared meanwhile
 */
export function createFile(path: string, write: (temporary: string) => void): void {
  const temporary = scratchBeside(path);
  try {
    refuseDevice(path);
    write(temporary);
    syncFile(temporary);
    placeNew(temporary, path);
    syncFolder(dirname(path));
  } catch (error) {
    throw writeFailure(path, error);
  } finally {
    discard(temporary);
  }
}

/** Gives a file a name that no other has. */
function placeNew(temporary: string, path: string): void {
  try {
    linkSync(temporary, path);
  } catch (error) {
    const found = statSync(path, { throwIfNoEntry: false });
    // Some file systems have no hard links. To a folder, renaming gives the error of the system.
    if (found?.isFile() || (found === undefined && (error as NodeJS.ErrnoException).code === "EEXIST"))
      throw new RunDirectoryError(
        `Expected a new file to write but ${path} has appeared meanwhile: choose another name, or remove it`,
      );
    renameSync(temporary, path);
  }
}

/** Replaces a text file. @throws RfdetrError as {@link replaceFile} does. */
export function replaceText(path: string, text: string): void {
  replaceFile(path, (temporary) => writeFileSync(temporary, text));
}

/**
 * Replaces a folder by the one that `write(temporaryFolder)` fills; the one before stays beside it under
 * {@link previousSuffix}. At every instant a complete folder exists under one of the two names: see
 * {@link recoverFolder}. On failure the old folder is unchanged and the temporary folder is removed. On a full disk the
 * one before the old folder makes room.
 * @throws RunDirectoryError
 */
export function replaceFolder(path: string, write: (temporary: string) => void): void {
  whileSaving(path, () => replaceWhole(path, write));
}

function replaceWhole(path: string, write: (temporary: string) => void): void {
  const old = path + previousSuffix;
  try {
    recoverFolder(path);
    try {
      fillAndSwap(path, write);
    } catch (error) {
      if (!isFull(error) || !existsSync(old) || !existsSync(path)) throw error;
      discard(path + partial);
      rmSync(old, { recursive: true, force: true });
      fillAndSwap(path, write);
    }
  } catch (error) {
    discard(path + partial);
    recoverFolder(path);
    throw writeFailure(path, error);
  }
}

function fillAndSwap(path: string, write: (temporary: string) => void): void {
  const temporary = path + partial;
  const old = path + previousSuffix;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary);
  write(temporary);
  syncFolder(temporary);
  if (existsSync(path)) {
    rmSync(old, { recursive: true, force: true });
    renameSync(path, old);
  }
  renameSync(temporary, path);
  syncFolder(dirname(path));
}

/**
 * Recovers from an interrupted {@link replaceFolder}: if the folder is missing, the previous one takes its place again.
 * Where both exist, both stay.
 * @returns whether the previous one took its place
 */
export function recoverFolder(path: string): boolean {
  const old = path + previousSuffix;
  const missing = existsSync(old) && !existsSync(path);
  if (missing) renameSync(old, path);
  return missing;
}

/**
 * Makes a folder and its parents, if they do not exist.
 * @returns those that it made, the deepest first
 * @throws RunDirectoryError
 */
export function makeFolder(path: string): string[] {
  const made: string[] = [];
  try {
    makeFolders(path, made);
    return made;
  } catch (error) {
    removeEmpty(made);
    throw writeFailure((error as NodeJS.ErrnoException).path ?? path, error);
  }
}

/** Removes those folders that are empty, in this order. */
export function removeEmpty(folders: readonly string[]): void {
  for (const folder of folders)
    try {
      rmdirSync(folder);
    } catch {
      // It holds something, or is gone.
    }
}

/**
 * `mkdirSync` with `recursive` never returns where no folder can be made, as in /proc.
 * @throws the operating system's error
 */
function makeFolders(path: string, made: string[]): void {
  const make = (): void => {
    try {
      mkdirSync(path);
      made.unshift(path);
    } catch (error) {
      const found = statSync(path, { throwIfNoEntry: false });
      if (found?.isDirectory()) return;
      // The system says only that the name is taken.
      throw found === undefined ? error : Object.assign(error as NodeJS.ErrnoException, { code: "ENOTDIR" });
    }
  };
  try {
    make();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || dirname(path) === path) throw error;
    makeFolders(dirname(path), made);
    make();
  }
}

/** Whether a name is that of a file or folder that is being written, or was when its writer was killed. */
export const isPartial = (name: string): boolean => name.endsWith(partial) || isScratch(name);

/** Removes the leftovers of interrupted writes from a folder that belongs to this process. */
export function removePartial(folder: string): void {
  for (const name of readdirSync(folder))
    if (name.endsWith(partial)) rmSync(join(folder, name), { recursive: true, force: true });
  for (const leftover of leftoversOf(join(folder, besideName))) discard(leftover);
}

/**
 * The error to throw after a failed write: one sentence for an error of the operating system; any other error
 * unchanged.
 */
export function writeFailure(path: string, error: unknown): unknown {
  if (!isSystemError(error)) return error;
  return new RunDirectoryError(
    `${basename(path)} cannot be written in ${dirname(path)}: ${writeReason(dirname(path), error)}`,
    {
      cause: error,
    },
  );
}

function writeReason(folder: string, error: NodeJS.ErrnoException): string {
  if (isFull(error)) return `${reasonOf(error)}; free some space`;
  switch (error.code) {
    // A folder is put under its name when it is whole.
    case "ENOTEMPTY":
      return "another program has made it meanwhile; choose another name";
    case "EACCES":
    case "EPERM":
      return `${reasonOf(error)}, or the folder is read-only; choose another`;
    case "ENOENT":
      return existsSync(folder)
        ? "the system takes no new files in this folder; choose another"
        : "there is no such folder";
    default:
      return reasonOf(error);
  }
}
