import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { expect, it } from "vitest";
import type { ListedImage } from "./listing.js";
import { withHeader } from "./picture-file.js";

it("a listed picture is turned by its EXIF tag, unless stored pixels are asked for", async () => {
  const folder = mkdtempSync(join(tmpdir(), "picture-file-"));
  try {
    const file = join(folder, "phone.jpg");
    const create = { width: 8, height: 4, channels: 3 as const, background: "#888" };
    await sharp({ create }).withMetadata({ orientation: 6 }).jpeg().toFile(file);
    const listed = { name: "phone.jpg", file, size: null, fault: null } as ListedImage;
    expect(withHeader({ ...listed }, { autoOrient: true }).orientation).toBe(6);
    expect(withHeader({ ...listed }, { autoOrient: false }).orientation).toBe(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
