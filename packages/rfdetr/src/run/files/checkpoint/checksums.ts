// Checksums of the files of a folder, in a file that `sha256sum --check` reads.
import { createHash, type Hash } from "node:crypto";
import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { reasonOf } from "../../../support/files/system-error.js";

/** The name of the file of checksums. */
export const sumsName = "SHA256SUMS";

/** Bytes that are read at once. */
const chunk = 4 << 20;

/** Checksums of the bytes that are meant to be in files, by the names of the files. */
export class Checksums {
  readonly #hashes = new Map<string, Hash>();

  /** @returns a function that takes the bytes of the file in their order */
  adder(name: string): (bytes: Uint8Array) => void {
    const hash = createHash("sha256");
    this.#hashes.set(name, hash);
    return (bytes) => void hash.update(bytes);
  }

  /** The content of the file. Call once, at the end. */
  text(): string {
    return [...this.#hashes].map(([name, hash]) => `${hash.digest("hex")}  ${name}\n`).join("");
  }
}

/** Reads every file that the checksums of a folder name. @returns the first that is not as it was, in words; or null */
export function faultOfSums(folder: string): string | null {
  const sums = join(folder, sumsName);
  let text: string;
  try {
    text = readFileSync(sums, "utf8");
  } catch (error) {
    return `${sums} cannot be read: ${reasonOf(error)}`;
  }
  const lines = text.split("\n").slice(0, -1);
  if (lines.length === 0) return `${sums} is empty`;
  const listed = new Set([sumsName]);
  for (const line of lines) {
    const [, sum, name] = /^([0-9a-f]{64}) {2}([\w.]+)$/.exec(line) ?? [];
    if (sum === undefined || name === undefined) return `${sums} has a line that is no checksum`;
    listed.add(name);
    const path = join(folder, name);
    try {
      if (sumOf(path) !== sum) return `${path} does not have the bytes that were written`;
    } catch (error) {
      return `${path} cannot be read: ${reasonOf(error)}`;
    }
  }
  const other = readdirSync(folder).find((name) => !listed.has(name));
  return other === undefined ? null : `${sums} has no checksum of ${other}`;
}

function sumOf(path: string): string {
  const hash = createHash("sha256");
  const bytes = Buffer.allocUnsafe(chunk);
  const file = openSync(path, "r");
  try {
    for (let count = readSync(file, bytes); count > 0; count = readSync(file, bytes))
      hash.update(bytes.subarray(0, count));
  } finally {
    closeSync(file);
  }
  return hash.digest("hex");
}
