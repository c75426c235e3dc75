import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { folderBytes } from "./wheel.mjs";

// The bar of a download asks for them while pip works there, and after a download beside it failed.
it("counts the bytes below a folder, and none where the folder is gone", () => {
  const folder = mkdtempSync(join(tmpdir(), "wheel-"));
  mkdirSync(join(folder, "pip"));
  writeFileSync(join(folder, "a.whl"), "12345");
  writeFileSync(join(folder, "pip", "b.part"), "123");
  expect(folderBytes(folder)).toBe(8);
  rmSync(folder, { recursive: true });
  expect(folderBytes(folder)).toBe(0);
});
