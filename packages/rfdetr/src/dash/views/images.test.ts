import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sharp } from "../../data/images/sharp.js";
import { DataError } from "../../support/errors.js";
import { NamedImages } from "./images.js";

const root = realpathSync(mkdtempSync(join(tmpdir(), "dash-")));
const data = join(root, "data");
afterAll(() => rmSync(root, { recursive: true }));

beforeAll(async () => {
  mkdirSync(join(data, "valid"), { recursive: true });
  const picture = sharp({ create: { width: 2000, height: 1000, channels: 3, background: "#336699" } });
  await picture
    .clone()
    .png()
    .toFile(join(data, "valid", "a.png"));
  await picture.clone().png().toFile(join(root, "outside.png"));
  symlinkSync(join(root, "outside.png"), join(data, "valid", "linked.png"));
  writeFileSync(join(data, "valid", "notes.png"), "a text that names itself a picture");
});

describe("an image of the data", () => {
  it("is sent as a JPEG of a size that a page can show", async () => {
    const names = new NamedImages();
    const jpeg = await names.jpeg(data, names.name("valid/a.png"));
    expect(await sharp(jpeg).metadata()).toMatchObject({ format: "jpeg", width: 1280, height: 640 });
    await expect(names.jpeg(data, names.name(join(data, "valid", "a.png")))).resolves.toBeInstanceOf(Buffer);
  });

  it.each([
    ["that no record of the run names", null],
    ["outside of the folder of the data", "../outside.png"],
    ["outside, by its whole path", join(root, "outside.png")],
    ["outside, where a link leads", "valid/linked.png"],
    ["that is a folder", "valid"],
    ["that does not exist", "valid/none.png"],
    ["with a NUL in its name", "valid/a.png\0"],
    ["that is no picture", "valid/notes.png"],
  ])("is not one %s", async (_, file) => {
    const names = new NamedImages();
    const id = file === null ? "0123456789abcdef" : names.name(file);
    await expect(names.jpeg(data, id)).rejects.toThrow(DataError);
  });
});
