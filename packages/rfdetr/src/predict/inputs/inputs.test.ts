import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { shownImage } from "./address.js";
import { belowInWords, findImages, imageFiles, imageList } from "./inputs.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "inputs-"));
  for (const name of ["a/b", "empty", "phone", "mac/x.jpg", "links", "ring/in"])
    mkdirSync(join(folder, name), { recursive: true });
  const files = ["2.jpg", "1.PNG", "x.txt", "a/3.jpg", "a/b/4.jpg", "a/b/5.png", "phone/1.heic", "phone/2.HEIC"];
  const mac = ["mac/._1.jpg", "mac/.hidden.jpg", "mac/.DS_Store", "mac/Thumbs.db", "mac/1.jpg", "mac/2.svg"];
  const accents = ["cafe\u0301.jpg".normalize("NFD"), "Möwe.jpg".normalize("NFC")].map((name) => `links/${name}`);
  for (const name of [...files, ...mac, ...accents, "ring/in/1.jpg"]) writeFileSync(join(folder, name), "");
  symlinkSync(join("..", "2.jpg"), join(folder, "links", "file.jpg"));
  symlinkSync("nowhere.jpg", join(folder, "links", "dangling.jpg"));
  symlinkSync("a", join(folder, "linked"));
  symlinkSync("..", join(folder, "ring", "in", "back"));
});
afterAll(() => rmSync(folder, { recursive: true }));

it("shows a line break in the name of an image escaped, in one line", () => {
  expect(shownImage("photos/a\nb\t.png")).toBe("photos/a\\nb\\t.png");
});

const names = (...inputs: string[]) =>
  imageFiles(inputs.map((input) => join(folder, input))).map((path) => path.slice(folder.length + 1));

describe("imageFiles", () => {
  it("takes files as they are, images of a folder, and patterns", () => {
    expect(names("x.txt")).toEqual(["x.txt"]);
    expect(names(".")).toEqual(["1.PNG", "2.jpg"]);
    expect(names("*.jpg")).toEqual(["2.jpg"]);
    expect(names("a/?.jpg")).toEqual(["a/3.jpg"]);
    expect(names("a/**/*.jpg")).toEqual(["a/3.jpg", "a/b/4.jpg"]);
    expect(names("a/b/*.{png,jpg}")).toEqual(["a/b/4.jpg", "a/b/5.png"]);
    expect(names("a/**")).toEqual(["a/3.jpg", "a/b/4.jpg", "a/b/5.png"]);
  });

  it("leaves addresses as they are, and takes those of files as their paths", () => {
    const address = "https://example.org/a/../b.jpg?c=*";
    const file = pathToFileURL(join(folder, "2.jpg")).href;
    expect(imageFiles([address, file, address])).toEqual([address, join(folder, "2.jpg")]);
    expect(imageFiles([pathToFileURL(join(folder, "links")).href]).length).toBe(4);
  });

  it("knows text that names many images", () => {
    const listed = (text: string) => imageList(text)?.kind ?? null;
    const texts = ["a", "a/", "none/*.jpg", "2.jpg", "none.jpg", "links/dangling.jpg"];
    expect(texts.map((text) => listed(join(folder, text)))).toEqual(["folder", "folder", "pattern", null, null, null]);
    const others = ["https://example.org/*.jpg", "s3://a/*", "data:image/png,*", "file://%", "\0*"];
    expect(others.map(listed)).toEqual([null, null, null, null, null]);
    expect([...(imageList(join(folder, "a")) ?? [])]).toEqual([join(folder, "a/3.jpg")]);
  });

  it("names every file once, in the order of the arguments", () => {
    expect(names("a/3.jpg", "a/**/*.jpg", "a/../a/b/4.jpg")).toEqual(["a/3.jpg", "a/b/4.jpg"]);
  });

  it("passes over hidden files, thumbnails, and folders that are called like images", () => {
    expect(names("mac")).toEqual(["mac/1.jpg"]);
    expect(names("mac/*")).toEqual(["mac/1.jpg"]);
    expect(names("mac/*.jpg")).toEqual(["mac/1.jpg"]);
    expect(names("mac/**/*.jpg")).toEqual(["mac/1.jpg"]);
    expect(names("mac/.hidden.jpg")).toEqual(["mac/.hidden.jpg"]);
  });

  it("follows links to files and to folders, and lists those that lead nowhere so that they are named", () => {
    expect(names("linked")).toEqual(["linked/3.jpg"]);
    expect(names("link*/3.jpg")).toEqual(["linked/3.jpg"]);
    expect(names("linke?/**/4.jpg")).toEqual(["linked/b/4.jpg"]);
    for (const input of ["links", "links/*.jpg", "links/**/*.jpg"])
      expect(names(input)).toEqual(expect.arrayContaining(["links/dangling.jpg", "links/file.jpg"]));
    expect(names("links/dangling.jpg")).toEqual(["links/dangling.jpg"]);
  });

  it("does not run in circles of links", () => {
    expect(names("ring/**/*.jpg")).toEqual(["ring/in/1.jpg"]);
  });

  it("finds names whose accents are composed in another way", () => {
    expect(names("links/caf\u00e9.jpg")).toEqual(["links/cafe\u0301.jpg"]);
    expect(names("links/Mo\u0308we.jpg")).toEqual(["links/M\u00f6we.jpg"]);
    expect(names("links/c?f\u00e9.jpg")).toEqual(["links/cafe\u0301.jpg"]);
  });

  it("says which argument leads to nothing", () => {
    expect(() => names("none.jpg")).toThrow(
      `Expected an image, a video, a folder, a pattern or an address but ${join(folder, "none.jpg")} does not exist`,
    );
    expect(() => names("a/3.jpgg")).toThrow(`did you mean ${join(folder, "a/3.jpg")}?`);
    expect(() => names("empty")).toThrow("found none in");
    expect(() => names("*.gif")).toThrow("found none in");
    expect(() => names("none/*.gif")).toThrow("found none in");
    expect(() => imageFiles(["s3://birds/a.jpg"])).toThrow("but received s3://birds/a.jpg: download the image first");
  });

  it("counts pictures in sub-folders, which a folder does not give", () => {
    const inside = (...inputs: string[]) => findImages(inputs.map((input) => join(folder, input))).below;
    expect(inside("a")).toEqual(new Map([[join(folder, "a"), 2]]));
    expect(inside("a", "a/b")).toEqual(new Map());
    expect(inside("a/**")).toEqual(new Map());
    expect(belowInWords(new Map([["photos/", 2]]))).toEqual([
      `2 pictures in sub-folders of photos/ are not read; give '${join("photos", "**")}' to read all`,
    ]);
    expect(() => names("ring")).toThrow(
      `found 1 picture in its sub-folders only: give '${join(folder, "ring", "**")}'`,
    );
  });

  it("counts pictures that cannot be decoded by their kind", () => {
    const { files, passedOver } = findImages([join(folder, "mac"), join(folder, "**/*.*")]);
    expect(files.length).toBeGreaterThan(5);
    expect(passedOver).toEqual(
      new Map([
        ["SVG", 2],
        ["HEIC", 2],
      ]),
    );
    expect(() => names("phone")).toThrow("but found only 2 files (HEIC): convert them to JPEG or PNG");
  });
});
