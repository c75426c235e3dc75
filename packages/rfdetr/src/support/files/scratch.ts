// Temporary files and folders. Their names tell which process writes them, so that those of a process that was killed
// are removed by the next one that writes there, and those of a living one never are.
import { randomBytes } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { RunDirectoryError } from "../errors.js";
import { identityOf, mayRun } from "../machine/process-identity.js";
import { sha256 } from "./sha256.js";
import { reasonOf } from "./system-error.js";

const shortHash = (text: string): string => sha256(text).slice(0, 8);
const hostHash = (): string => shortHash(hostname());
/** Number, machine and beginning of the process, and what tells its files apart. */
const ending = /^\.partial-(\d+)-([0-9a-f]{8})-([0-9a-f]{8})-[0-9a-f]{8}$/;
/** Nobody here can know whether a process of another machine runs: what it left untouched for so long is a leftover. */
const week = 7 * 24 * 3600 * 1000;

/** Prefixes that this thread has cleaned up after: once is enough, and a folder may have many files. */
const cleaned = new Set<string>();

/**
 * A new path `PREFIX.partial-…` for a file or folder that is being written. What processes that are gone left there
 * under this prefix is removed.
 * @param prefix path that the temporary one begins with; the folder that it is in exists
 */
export function scratchPath(prefix: string): string {
  const path = resolve(prefix);
  if (!cleaned.has(path)) for (const leftover of leftoversOf(path)) discard(leftover);
  cleaned.add(path);
  const own = shortHash(identityOf(process.pid) ?? "");
  return `${path}.partial-${process.pid}-${hostHash()}-${own}-${randomBytes(4).toString("hex")}`;
}

/** As {@link scratchPath}, for a file that is called otherwise at the end: its name may be as long as a name can be. */
export const scratchBeside = (path: string): string => scratchPath(join(dirname(path), besideName));

/**
 * Makes a folder for what `fill` writes, and removes it with all that `fill` leaves there. What is to stay is moved out
 * of it, or the folder as a whole gets another name.
 * @param path a new one, of {@link scratchPath} or {@link scratchBeside}
 * @throws what `fill` or the operating system throws
 */
export function whileScratch<T>(path: string, fill: (folder: string) => T): T {
  try {
    mkdirSync(path);
    return fill(path);
  } finally {
    discard(path);
  }
}

/** What the names of {@link scratchBeside} begin with. */
export const besideName = ".rfdetr";

/** Whether a name is one that {@link scratchPath} gives. */
export const isScratch = (name: string): boolean => ending.test(name.slice(Math.max(0, name.indexOf(".partial-"))));

/**
 * Makes a new folder in the system's folder for temporary files. Who makes it removes it.
 * @throws RunDirectoryError
 */
export function scratchFolder(name: string): string {
  const path = scratchPath(join(tmpdir(), `rfdetr-${name}`));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const reason = existsSync(tmpdir()) ? reasonOf(error) : "there is no such folder";
    throw new RunDirectoryError(`No temporary folder can be made in ${tmpdir()}: ${reason}`, {
      cause: error,
      hint: "Name another folder in the environment variable TMPDIR",
    });
  }
  return path;
}

/** Whether something has this name, a link that leads nowhere included. */
export function isTaken(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    // Writing there says why it cannot be looked at.
    return false;
  }
}

/** Removes a file or folder, if possible: after a failed write, an error here would hide the one of the write. */
export function discard(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // A path that cannot be removed could not be written either.
  }
}

/** What processes that are gone left under a prefix. */
export function leftoversOf(prefix: string): string[] {
  const path = resolve(prefix);
  const [folder, start] = [dirname(path), basename(path)];
  return namesIn(folder).flatMap((name) => {
    const [, pid, host, own] = (name.startsWith(start) && ending.exec(name.slice(start.length))) || [];
    if (pid === undefined) return [];
    const left = join(folder, name);
    return (host === hostHash() ? !runs(Number(pid), own) : Date.now() - touched(left) > week) ? [left] : [];
  });
}

/** Whether a process of this machine is the one with this hash of its identity. */
function runs(pid: number, own: string): boolean {
  const identity = identityOf(pid);
  return mayRun({ pid, host: hostname(), process: identity }) && (identity === null || shortHash(identity) === own);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // Writing there says what is wrong.
    return [];
  }
}

const touched = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
