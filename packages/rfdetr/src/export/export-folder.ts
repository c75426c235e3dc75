// The folder in which an export makes its file, beside the file's final path: the file is there as a whole or not at
// all.
import { appendFileSync, existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { UsageError } from "../support/errors.js";
import { removeEmpty, syncFile } from "../support/files/atomic.js";
import { FileLock, type Holder } from "../support/files/file-lock.js";
import { discard } from "../support/files/scratch.js";

/** Endings of the files of a drift table. */
export const driftEndings = [".drift.json", ".drift.txt"] as const;

/** Names in the folder: the lock, which says who works there, and copies of it. */
const lockName = "lock";
const isLock = (name: string): boolean => name === lockName || name.startsWith(`${lockName}.`);
const folderOf = (out: string): string => `${out}.partial`;

/** The folder of one export. One process or thread at a time holds it. */
export class ExportFolder {
  readonly #folder: string;
  readonly #endings: readonly string[];
  #lock: FileLock | null = null;
  /** The file in its folder. */
  readonly file: string;
  /** Its constants, where they are too large for the file. */
  readonly data: string;
  /** For a file with more outputs. */
  readonly probe: string;

  /** @param report whether a drift table lies beside the file */
  constructor(
    readonly out: string,
    report: boolean,
  ) {
    this.#folder = folderOf(out);
    this.#endings = ["", ".data", ...(report ? driftEndings : [])];
    this.file = join(this.#folder, basename(out));
    this.data = `${this.file}.data`;
    this.probe = join(this.#folder, "probe.onnx");
  }

  /** @throws UsageError for a name that is no file's of ONNX, and where something of the user's has it */
  check(): void {
    if (!this.out.endsWith(".onnx"))
      throw new UsageError(`Expected a file name that ends in .onnx to write but received ${this.out}`);
    for (const path of this.#endings.map((ending) => this.out + ending))
      if (existsSync(path))
        throw new UsageError(`Expected a new file to write but ${path} exists: choose another name, or remove it`);
  }

  /**
   * Makes the folder. What an interrupted export left there gives way.
   * @throws UsageError while another export works there, or if the folder holds anything else
   */
  make(): void {
    for (let attempt = 0; this.#lock === null; attempt++) {
      makeUnlessThere(this.#folder);
      try {
        if (!this.#isLeftover())
          throw new UsageError(
            `Expected no other files in ${this.#folder}, where the export is made: remove it, or choose another name`,
          );
        this.#lock = FileLock.acquire(join(this.#folder, lockName), (holder) => inProgress(this.out, holder));
      } catch (error) {
        // The folder of an export that has ended just now.
        if ((error as NodeJS.ErrnoException).code === "ENOENT" && attempt < 3) continue;
        removeEmpty([this.#folder]);
        throw error;
      }
    }
    this.check();
    for (const name of readdirSync(this.#folder).filter((each) => !isLock(each))) discard(join(this.#folder, name));
  }

  #isLeftover(): boolean {
    const own = [this.file, this.data, this.probe, `${this.probe}.data`, ...driftEndings.map((end) => this.file + end)];
    const names = own.map((path) => basename(path));
    const found = statSync(this.#folder).isDirectory() ? readdirSync(this.#folder) : null;
    return found?.every((name) => names.includes(name) || isLock(name)) ?? false;
  }

  /** Adds to the end of the file. */
  append(bytes: Uint8Array): void {
    appendFileSync(this.file, bytes);
  }

  /** Puts a text beside the file. */
  addText(ending: (typeof driftEndings)[number], text: string): void {
    writeFileSync(this.file + ending, text);
  }

  /** Puts the files where they go, the one of ONNX last. @returns the bytes of that and of its constants */
  publish(): number {
    this.check();
    const there = this.#endings.filter((ending) => existsSync(this.file + ending)).reverse();
    for (const ending of there) syncFile(this.file + ending);
    for (const ending of there) renameSync(this.file + ending, join(dirname(this.out), basename(this.out) + ending));
    return [this.out, `${this.out}.data`].reduce(
      (sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
  }

  discard(): void {
    if (this.#lock !== null) discard(this.#folder);
  }
}

/** Removes the folder of an export of this process, which is about to end. */
export function abandonExport(out: string): void {
  const holder = FileLock.holderOf(join(folderOf(out), lockName));
  if (holder?.pid === process.pid && holder.host === hostname()) discard(folderOf(out));
}

function makeUnlessThere(folder: string): void {
  try {
    mkdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

function inProgress(out: string, { pid, host, started }: Holder): UsageError {
  const where = host === hostname() ? "" : ` on ${host}`;
  return new UsageError(
    `Expected no other export to ${out} but process ${pid}${where} has been writing it since ${started}: wait for its end, or choose another name`,
    { hint: `If it is another program, remove ${folderOf(out)}` },
  );
}
