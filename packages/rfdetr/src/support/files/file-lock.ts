// Who holds a file or a folder: a lock file, which is made exclusively and names its process.
import { randomUUID } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { identityOf, mayRun, type ProcessIdentity, thisProcess } from "../machine/process-identity.js";
import { syncFile } from "./atomic.js";

/** The content of a lock. */
export interface Holder extends ProcessIdentity {
  /** When it was taken, ISO 8601. */
  started: string;
}

/** A lock that this process holds. */
export class FileLock {
  readonly #text: string;

  private constructor(
    readonly path: string,
    text: string,
  ) {
    this.#text = text;
  }

  /**
   * Takes a lock. That of a process of this machine that is gone is replaced.
   * @param taken the error to throw while another process holds it, or a thread of this one
   * @throws that error; the operating system's when the lock cannot be written
   */
  static acquire(path: string, taken: (holder: Holder) => Error): FileLock {
    const text = `${JSON.stringify({ ...thisProcess(), started: new Date().toISOString() })}\n`;
    while (!createdWhole(path, text)) {
      const before = readIfThere(path);
      if (before === null) continue;
      const holder = parseHolder(before);
      if (holder !== null && mayRun(holder)) throw taken(holder);
      removeStale(path, before);
    }
    return new FileLock(path, text);
  }

  /** Who holds a lock; null where nobody does, or the holder is gone, as far as this machine can know. */
  static holderOf(path: string): Holder | null {
    const text = readIfThere(path);
    const holder = text === null ? null : parseHolder(text);
    return holder !== null && mayRun(holder) ? holder : null;
  }

  /**
   * Removes the lock that a thread of this process held when it died, or a process that is gone.
   * @param pid number of that process
   */
  static abandon(path: string, pid = process.pid): void {
    const text = readIfThere(path);
    const holder = text === null ? null : parseHolder(text);
    if (holder?.pid !== pid || holder.host !== hostname()) return;
    if (pid === process.pid ? holder.process === identityOf(pid) : !mayRun(holder)) rmSync(path, { force: true });
  }

  /** Gives it free. A lock that another process has put in the place of this one stays. */
  release(): void {
    try {
      if (readIfThere(this.path) === this.#text) rmSync(this.path, { force: true });
    } catch {
      // A lock that cannot be removed is recognised as stale when this process has ended.
    }
  }
}

/**
 * Writes a file that does not exist yet, so that nobody ever sees it in part.
 * @returns false where it exists
 */
function createdWhole(path: string, text: string): boolean {
  const temporary = `${path}.${randomUUID()}.partial`;
  try {
    writeFileSync(temporary, text);
  } catch (error) {
    // On a full disk the file is there, and empty.
    rmSync(temporary, { force: true });
    throw error;
  }
  try {
    syncFile(temporary);
    linkSync(temporary, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ENOENT: the holder of the lock cleans up after interrupted writes.
    if (code === "EEXIST" || code === "ENOENT") return false;
    // Some network and memory-card file systems have no links.
    if (code === "EPERM" || code === "ENOSYS" || code === "ENOTSUP" || code === "EOPNOTSUPP")
      return created(path, text);
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

function created(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

/** @returns null for what no process of this program wrote in full: its writer was killed, or the power went */
function parseHolder(text: string): Holder | null {
  try {
    const { pid, host, started, process: identity } = JSON.parse(text) as Partial<Holder>;
    if (!Number.isSafeInteger(pid) || typeof host !== "string" || typeof started !== "string") return null;
    return { pid: pid as number, host, started, process: typeof identity === "string" ? identity : null };
  } catch {
    return null;
  }
}

/** Removes a stale lock, unless another process has replaced it meanwhile: then that one is put back. */
function removeStale(path: string, stale: string): void {
  const aside = `${path}.${randomUUID()}.partial`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const taken = readFileSync(aside, "utf8");
  rmSync(aside);
  if (taken !== stale) created(path, taken);
}
