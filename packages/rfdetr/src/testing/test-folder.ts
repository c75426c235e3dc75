// A folder for the files of tests.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach } from "vitest";

/** Makes a folder for the tests of a file, removes it after the last, and empties it after each if wanted. */
export function testFolder({ emptied = false } = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "test-"));
  if (emptied)
    afterEach(() => {
      rmSync(folder, { recursive: true });
      mkdirSync(folder);
    });
  afterAll(() => rmSync(folder, { recursive: true }));
  return folder;
}
