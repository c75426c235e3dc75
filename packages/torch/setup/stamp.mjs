// Tells whether a step has anything to do: a fingerprint of what goes into it, compared with that of the last time.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Fingerprint of files by path, size and time of change: cheap enough for every start of a checkout.
 * @param {string[]} paths files or folders
 */
export const fingerprint = (paths, ...more) =>
  printOf(paths, more, (path, stat) => `${path} ${stat.size} ${stat.mtimeMs}`);

/**
 * Fingerprint of files by what is in them, for the few of an installed package: those who copy it, and layers of
 * container images, keep no exact times. @param {string[]} paths files or folders
 */
export const contentPrint = (paths, ...more) => printOf(paths, more, (path) => readFileSync(path));

/** @param {(path: string, stat: import("node:fs").Stats) => string | Buffer} ofFile */
function printOf(paths, more, ofFile) {
  const hash = createHash("sha256").update(JSON.stringify(more));
  const add = (path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) hash.update(`${path} missing`);
    else if (!stat.isDirectory()) hash.update(ofFile(path, stat));
    else
      for (const name of readdirSync(path).sort())
        if (name !== "node_modules" && name !== "dist" && name !== "build") add(join(path, name));
  };
  for (const path of paths) add(path);
  return hash.digest("hex");
}

/** Fingerprints of finished steps, kept in one small file. */
export class Stamps {
  /** @param {string} file */
  constructor(file) {
    this.file = file;
    this.values = {};
    try {
      this.values = JSON.parse(readFileSync(file, "utf8"));
    } catch {
      // None yet, or cut off: every step looks for itself.
    }
  }
  fits(step, value, ...products) {
    return this.values[step] === value && products.every((path) => existsSync(path));
  }
  set(step, value) {
    this.values[step] = value;
    mkdirSync(dirname(this.file), { recursive: true });
    const temporary = `${this.file}.${process.pid}`;
    writeFileSync(temporary, JSON.stringify(this.values, null, 2));
    renameSync(temporary, this.file);
  }
}
