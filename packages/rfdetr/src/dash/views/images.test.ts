import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sharp } from "../../data/images/sharp.js";
import { putFile } from "../../data/write/write-dataset.js";
import { DataError } from "../../support/errors.js";
import { NamedImages } from "./images.js";

const root = realpathSync(mkdtempSync(join(tmpdir(), "dash-")));
const data = join(root, "data");
const place = { was: data, is: data };
afterAll(() => rmSync(root, { recursive: true }));

beforeAll(async () => {
  mkdirSync(join(data, "valid"), { recursive: true });
  const picture = sharp({ create: { width: 2000, height: 1000, channels: 3, background: "#336699" } });
  await picture
    .clone()
    .png()
    .toFile(join(data, "valid", "a.png"));
  await picture.clone().png().toFile(join(root, "outside.png"));
  writeFileSync(join(root, "secret.png"), "a text outside");
  symlinkSync(join(root, "secret.png"), join(data, "valid", "secret.png"));
  symlinkSync("/dev/zero", join(data, "valid", "zero.png"));
  writeFileSync(join(data, "valid", "notes.png"), "a text that names itself a picture");
});

describe("an image of the data", () => {
  it("is sent as a JPEG of a size that a page can show", async () => {
    const names = new NamedImages();
    const jpeg = await names.jpeg(place, names.name("valid/a.png"));
    expect(await sharp(jpeg).metadata()).toMatchObject({ format: "jpeg", width: 1280, height: 640 });
    await expect(names.jpeg(place, names.name(join(data, "valid", "a.png")))).resolves.toBeInstanceOf(Buffer);
  });

  it("is one where it is a link, as in the copies that the data commands write, and behind a linked folder", async () => {
    const [copy, linked] = [join(root, "copy"), join(root, "linked")];
    putFile(join(data, "valid", "a.png"), join(copy, "valid"), "a.png");
    mkdirSync(linked);
    symlinkSync(join(data, "valid"), join(linked, "valid"));
    for (const folder of [copy, linked])
      for (const file of ["valid/a.png", join(folder, "valid", "a.png")]) {
        const names = new NamedImages();
        const jpeg = names.jpeg({ was: folder, is: folder }, names.name(file));
        await expect(jpeg).resolves.toBeInstanceOf(Buffer);
      }
  });

  it("is found where the data have moved together with the run, by its whole path as well", async () => {
    const names = new NamedImages();
    const moved = { was: "/gone/data", is: data };
    for (const file of ["valid/a.png", "/gone/data/valid/a.png"])
      await expect(names.jpeg(moved, names.name(file))).resolves.toBeInstanceOf(Buffer);
    await expect(names.jpeg(moved, names.name("/gone/outside.png"))).rejects.toThrow(DataError);
  });

  it("is one where the data were given as the file of a dataset, or as a list of several", async () => {
    const [yolo, list] = [join(data, "data.yaml"), join(root, "list.yaml")];
    writeFileSync(yolo, "names: [a]\n");
    writeFileSync(list, "datasets:\n  - path: data\n  - path: other/data.yaml\n");
    const names = new NamedImages();
    for (const given of [yolo, list]) {
      const from = { was: given, is: given };
      await expect(names.jpeg(from, names.name(join(data, "valid", "a.png")))).resolves.toBeInstanceOf(Buffer);
      await expect(names.jpeg(from, names.name(join(root, "outside.png")))).rejects.toThrow(DataError);
    }
  });

  it.each([
    ["that no record of the run names", null],
    ["outside of the folder of the data", "../outside.png"],
    ["outside, by its whole path", join(root, "outside.png")],
    ["where a link leads to what is no picture", "valid/secret.png"],
    ["where a link leads to a device", "valid/zero.png"],
    ["that is a folder", "valid"],
    ["that does not exist", "valid/none.png"],
    ["with a NUL in its name", "valid/a.png\0"],
    ["that is no picture", "valid/notes.png"],
  ])("is not one %s", async (_, file) => {
    const names = new NamedImages();
    const id = file === null ? "0123456789abcdef" : names.name(file);
    await expect(names.jpeg(place, id)).rejects.toThrow(DataError);
  });
});
