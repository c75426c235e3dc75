import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { replaceFile, replaceFolder } from "./atomic.js";
import { savingIn, savingWords, tellSaving, whileSaving } from "./saving.js";

const folder = mkdtempSync(join(tmpdir(), "saving-"));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => tellSaving(null));

/** What another thread sees. */
function watched(): () => string | null {
  const words = new Int32Array(new SharedArrayBuffer(8 + 4 * savingWords)).subarray(2);
  tellSaving(words);
  return () => savingIn(words);
}

describe("what a thread writes", () => {
  it("is told as long as it is written: a file, and a folder with all in it", () => {
    const saving = watched();
    const seen: (string | null)[] = [saving()];
    const [file, whole] = [join(folder, "weights"), join(folder, "checkpoint")];
    replaceFile(file, (temporary) => {
      seen.push(saving());
      writeFileSync(temporary, "");
    });
    seen.push(saving());
    replaceFolder(whole, (temporary) => {
      replaceFile(join(temporary, "state"), (part) => writeFileSync(part, ""));
      seen.push(saving());
    });
    expect([...seen, saving()]).toEqual([null, file, null, whole, null]);
    expect([file, join(whole, "state")].every((path) => existsSync(path))).toBe(true);
  });

  it("is nothing any more where the write failed", () => {
    const saving = watched();
    expect(() => replaceFile(join(folder, "no", "folder"), (path) => writeFileSync(path, ""))).toThrow();
    expect(saving()).toBeNull();
  });

  it("is told with the end of a path that is too long", () => {
    const saving = watched();
    whileSaving(`${"ä/".repeat(200)}checkpoint`, () => expect(saving()).toMatch(/ä\/ä\/checkpoint$/));
  });

  it("is not told where nobody wants to know, or the memory has no room", () => {
    expect(whileSaving("a", () => 1)).toBe(1);
    expect(savingIn(new Int32Array(0))).toBeNull();
  });
});
