// Whether the files of a run are still where it wrote them, and can be written.
import { existsSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { RunDirectoryError } from "../../support/errors.js";
import { writeFailure } from "../../support/files/atomic.js";
import { discard, scratchBeside } from "../../support/files/scratch.js";

/** Sees that a file could be written, in a folder that there is. @throws RunDirectoryError */
export function tryToWrite(path: string): void {
  if (!existsSync(dirname(path))) return;
  const file = scratchBeside(path);
  try {
    writeFileSync(file, "");
  } catch (error) {
    throw writeFailure(path, error);
  } finally {
    discard(file);
  }
}

/** @throws RunDirectoryError where something that a run has made is not there any more */
export function mustExist(paths: readonly string[]): void {
  const gone = paths.find((path) => !existsSync(path));
  if (gone !== undefined) throw new RunDirectoryError(`${gone} is missing: it was moved or removed during the run`);
}
