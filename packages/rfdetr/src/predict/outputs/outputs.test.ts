import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { imageExtensions } from "../../data/images/image-kinds.js";
import { labelNames, pictureNames } from "./output-names.js";
import { OutputFolder } from "./outputs.js";

let folder: string;
const before = process.cwd();
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "outputs-"));
  process.chdir(folder);
});
afterEach(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

describe("names of pictures", () => {
  it("are those of the images in one folder, and keep its format where it can be written", () => {
    expect(pictureNames(["p/a.jpg", "p/b.PNG", "p/c.webp", "p/d.jpeg"])).toEqual([
      "a.jpg",
      "b.PNG",
      "c.webp",
      "d.jpeg",
    ]);
    expect(pictureNames(["p/a.bmp", "p/a.tif", "p/a"])).toEqual(["a.bmp.jpg", "a.tif.jpg", "a.jpg"]);
  });

  it("keep the folders below the one that all images share", () => {
    expect(pictureNames(["p/a/1.jpg", "p/b/1.jpg"])).toEqual([join("a", "1.jpg"), join("b", "1.jpg")]);
    expect(pictureNames(["p/1.jpg", "p/b/1.jpg"])).toEqual(["1.jpg", join("b", "1.jpg")]);
    expect(pictureNames(["1.jpg", "/elsewhere/1.jpg"]).every((name) => !name.startsWith(".."))).toBe(true);
    expect(pictureNames(["pa/1.jpg", "pb/1.jpg"])).toEqual([join("pa", "1.jpg"), join("pb", "1.jpg")]);
  });

  it("never come twice", () => {
    expect(pictureNames(["a.gif", "a.gif.jpg"])).toEqual(["a.gif.jpg", "a.gif-2.jpg"]);
  });
});

describe("names of label files", () => {
  it("have .txt in place of the extension of every kind of image that is read", () => {
    const files = [...imageExtensions].map((extension, i) => `p/${i}${extension}`);
    expect(labelNames(files)).toEqual(files.map((_, i) => join("labels", `${i}.txt`)));
    expect(labelNames(["p/a.BMP", "p/b/a.jpg", "p/c.d", "p/e"])).toEqual(
      ["a.txt", join("b", "a.txt"), "c.d.txt", "e.txt"].map((name) => join("labels", name)),
    );
  });

  it("keep the extension of the second of two images that differ in it only", () => {
    expect(labelNames(["p/a.bmp", "p/a.jpg", "p/a.jpg.png"])).toEqual(
      ["a.txt", "a.jpg.txt", "a.jpg.png.txt"].map((name) => join("labels", name)),
    );
  });
});

describe("OutputFolder", () => {
  it("takes a folder of its own each time when none is named", () => {
    const write = () => OutputFolder.open(null, ["a.jpg"], []).write("a.jpg", "");
    expect(write()).toBe(join("predictions", "a.jpg"));
    expect(write()).toBe(join("predictions-2", "a.jpg"));
    writeFileSync("predictions-3", "");
    expect(write()).toBe(join("predictions-4", "a.jpg"));
    expect(OutputFolder.open(null, [], []).path).toBe(null);
    expect(existsSync("predictions-5")).toBe(false);
  });

  it("refuses the folder of the images before it writes anything", () => {
    mkdirSync("photos");
    for (const name of ["a.jpg", "b.jpg"]) writeFileSync(join("photos", name), name);
    expect(() => OutputFolder.open("photos", ["c.jpg", "a.jpg", "b.jpg"], [])).toThrow(
      "Expected an output folder without the files to write but photos has a.jpg and 1 more of them: choose another folder",
    );
    expect(readdirSync("photos")).toEqual(["a.jpg", "b.jpg"]);
  });

  it("refuses links, and folders that are links", () => {
    mkdirSync("photos");
    writeFileSync(join("photos", "a.jpg"), "original");
    mkdirSync("out");
    symlinkSync(join("..", "photos", "a.jpg"), join("out", "a.jpg"));
    symlinkSync("nowhere", join("out", "dangling.jpg"));
    symlinkSync(join("..", "photos"), join("out", "linked"));
    for (const name of ["a.jpg", "dangling.jpg", join("linked", "new.jpg")])
      expect(() => OutputFolder.open("out", [name], [])).toThrow("choose another folder");
    expect(readFileSync(join("photos", "a.jpg"), "utf8")).toBe("original");
  });

  it("adds new files to a folder that has others", () => {
    mkdirSync("out");
    writeFileSync(join("out", "notes.txt"), "mine");
    const out = OutputFolder.open("out", [join("b", "1.jpg")], []);
    expect(out.write(join("b", "1.jpg"), "picture")).toBe(join("out", "b", "1.jpg"));
    expect(readFileSync(join("out", "b", "1.jpg"), "utf8")).toBe("picture");
    expect(readdirSync(join("out", "b"))).toEqual(["1.jpg"]);
    expect(readFileSync(join("out", "notes.txt"), "utf8")).toBe("mine");
  });

  it("does not write over a file or through a link that came in the meantime", () => {
    const out = OutputFolder.open("out", ["a.jpg", "b.jpg"], []);
    writeFileSync(join("out", "a.jpg"), "theirs");
    symlinkSync(join("..", "elsewhere"), join("out", "b.jpg"));
    for (const name of ["a.jpg", "b.jpg"])
      expect(() => out.write(name, "ours")).toThrow(`${name} cannot be written in out: the name is already in use`);
    expect(readFileSync(join("out", "a.jpg"), "utf8")).toBe("theirs");
    expect(lstatSync(join("out", "b.jpg")).isSymbolicLink()).toBe(true);
    expect(existsSync("elsewhere")).toBe(false);
    out.close();
    expect(readdirSync("out")).toEqual(["a.jpg", "b.jpg"]);
  });

  it("replaces what earlier predictions made, unless it was changed, linked, or is an image to read", () => {
    const names = ["a.jpg", "b.jpg", join("c", "d.jpg")];
    const first = OutputFolder.open("out", names, []);
    for (const name of names) first.write(name, `first ${name}`);
    first.close();
    const second = OutputFolder.open("out", names, ["elsewhere.jpg"]);
    for (const name of names) second.write(name, `second ${name}`);
    second.close();
    expect(readFileSync(join("out", "c", "d.jpg"), "utf8")).toBe(`second ${names[2]}`);

    expect(() => OutputFolder.open("out", names, [join("out", "a.jpg")])).toThrow("has a.jpg: choose");
    writeFileSync(join("out", "b.jpg"), "edited");
    expect(() => OutputFolder.open("out", names, [])).toThrow("has b.jpg: choose");
    rmSync(join("out", "b.jpg"));
    writeFileSync("original", "second b.jpg");
    symlinkSync(join("..", "original"), join("out", "b.jpg"));
    expect(() => OutputFolder.open("out", names, [])).toThrow("has b.jpg: choose");
    expect(readFileSync("original", "utf8")).toBe("second b.jpg");
  });

  it("replaces a folder of files that earlier predictions made, unless anything else is in it", () => {
    const [a, b, c] = ["a.jpg", "b.jpg", "c.jpg"].map((name) => join("crops", name[0], name));
    const write = (...names: readonly string[]) => {
      const out = OutputFolder.open("out", ["crops/"], []);
      for (const name of names) out.write(name, `${names}`);
      out.removeLeft("crops");
      out.close();
    };
    write(a, b);
    write(b, c);
    expect(readdirSync(join("out", "crops"))).toEqual(["b", "c"]);
    expect(readFileSync(join("out", b), "utf8")).toBe(`${b},${c}`);

    const open = () => OutputFolder.open("out", ["crops/"], []);
    const mine = join("crops", "b", "mine.txt");
    writeFileSync(join("out", mine), "");
    expect(open).toThrow(`has ${mine}: choose`);
    rmSync(join("out", mine));
    symlinkSync("b", join("out", "crops", "linked"));
    expect(open).toThrow(`has ${join("crops", "linked")}: choose`);
    rmSync(join("out", "crops"), { recursive: true });
    symlinkSync("..", join("out", "crops"));
    expect(open).toThrow("has crops: choose");
  });

  it("knows its files again whose names have line breaks and backslashes, and lists them as sha256sum does", () => {
    const names = ["a\nb.jpg", "c\\nd.jpg", "e\r.jpg", "f.jpg"].filter((name) => sep === "/" || !/[\n\r\\]/.test(name));
    for (const content of ["first", "second"]) {
      const out = OutputFolder.open("out", names, []);
      for (const name of names) out.write(name, content);
      out.close();
    }
    for (const name of names) expect(readFileSync(join("out", name), "utf8")).toBe("second");
    const lines = readFileSync(join("out", ".predictions.sha256"), "utf8").split("\n");
    expect(lines).toHaveLength(2 * names.length + 1);
    if (sep === "/") expect(lines[0]).toMatch(/^\\[0-9a-f]{64} {2}a\\nb\.jpg$/);
  });

  it("lets one prediction at a time write into a folder", () => {
    const first = OutputFolder.open("out", ["a.jpg"], []);
    const open = () => OutputFolder.open("out", ["b.jpg"], []);
    expect(open).toThrow(
      /another prediction writes to out \(pid \d+ on .*\): wait for its end, or choose another folder/,
    );
    first.write("a.jpg", "picture");
    first.close();
    const second = open();
    second.write("b.jpg", "picture");
    second.close();
    expect(readdirSync("out").sort()).toEqual([".predictions.sha256", "a.jpg", "b.jpg"]);
  });

  it("removes the folders that it made and that are empty, and no others", () => {
    mkdirSync("theirs");
    const nothing = OutputFolder.open(join("new", "out"), ["a.jpg"], []);
    const some = OutputFolder.open("some", ["a.jpg"], []);
    some.write("a.jpg", "picture");
    for (const out of [nothing, some, OutputFolder.open("theirs", ["a.jpg"], [])]) out.close();
    expect(["new", "some", "theirs"].map((name) => existsSync(name))).toEqual([false, true, true]);
  });
});
