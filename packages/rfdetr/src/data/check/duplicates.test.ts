import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Rng } from "../../support/random.js";
import { writePicture } from "../../testing/dataset-files.js";
import { synthesize } from "../synth/synth.js";
import { type DuplicateGroup, findDuplicates, type SplitFile } from "./duplicates.js";

const folder = mkdtempSync(join(tmpdir(), "duplicates-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string): string => join(folder, name);
const files = (...names: string[]): SplitFile[] =>
  names.map((name) => ({ file: path(name), split: name.startsWith("v") ? "valid" : "train" }));
const names = (groups: DuplicateGroup[]): string[][] =>
  groups.map((group) => group.files.map(({ file }) => file.slice(folder.length + 1)));

/** A picture of overlapping discs, another for each seed. */
function picture(seed: number): Sharp {
  const rng = new Rng(seed, "picture");
  const discs = Array.from({ length: 40 }, () => {
    const [x, y, r] = [rng.integer(0, 320), rng.integer(0, 240), rng.integer(8, 60)];
    return `<circle cx="${x}" cy="${y}" r="${r}" fill="hsl(${rng.integer(0, 360)},70%,${rng.integer(20, 80)}%)"/>`;
  });
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="320" height="240"><rect width="320" height="240" fill="#567"/>${discs.join("")}</svg>`;
  return sharp(Buffer.from(svg)).flatten();
}

/** A picture after it was drawn, so that size and crop apply to it. */
const drawn = async (seed: number): Promise<Sharp> => sharp(await picture(seed).png().toBuffer());

beforeAll(async () => {
  await picture(1).jpeg({ quality: 95 }).toFile(path("a.jpg"));
});

describe("a picture is found again", () => {
  it("in a copy of its file", async () => {
    copyFileSync(path("a.jpg"), path("v-copy.jpg"));
    const [group, ...others] = await findDuplicates(files("a.jpg", "v-copy.jpg"));
    expect(group).toEqual({ kind: "exact", across: true, files: files("a.jpg", "v-copy.jpg") });
    expect(others).toEqual([]);
  });

  it("in the same file of two splits, but not in two entries of one split", async () => {
    const [file] = files("a.jpg");
    expect(await findDuplicates([file, { ...file }])).toEqual([]);
    expect(await findDuplicates([file, { ...file, split: "test" }])).toMatchObject([{ kind: "exact", across: true }]);
  });

  it.each<[string, (picture: Sharp) => Sharp]>([
    ["in another encoding", (p) => p.jpeg({ quality: 50 })],
    ["as PNG", (p) => p.png()],
    ["as WebP", (p) => p.webp({ quality: 60 })],
    ["smaller", (p) => p.resize(200, 150).jpeg()],
    ["stretched", (p) => p.resize(640, 640, { fit: "fill" }).jpeg()],
    ["lighter", (p) => p.linear(1, 25).jpeg()],
    ["with less contrast", (p) => p.linear(0.75, 30).jpeg()],
    ["turned, with a tag that turns it back", (p) => p.rotate(90).withMetadata({ orientation: 8 }).jpeg()],
  ])("%s", async (_, change) => {
    await change(await drawn(1)).toFile(path("v-changed"));
    const groups = await findDuplicates(files("a.jpg", "v-changed"));
    expect(groups).toMatchObject([{ kind: "near", across: true }]);
    expect(await findDuplicates(files("a.jpg", "v-changed"), { near: false })).toEqual([]);
  });

  it("through a third", async () => {
    copyFileSync(path("a.jpg"), path("b.jpg"));
    await (await drawn(1)).resize(100, 75).jpeg().toFile(path("c.jpg"));
    const groups = await findDuplicates(files("a.jpg", "b.jpg", "c.jpg"));
    expect(groups).toMatchObject([{ kind: "near", across: false }]);
    expect(names(groups)).toEqual([["a.jpg", "b.jpg", "c.jpg"]]);
  });
});

describe("a picture is not taken for another", () => {
  it.each<[string, (picture: Sharp) => Sharp]>([
    ["that is a part of it", (p) => p.extract({ left: 30, top: 20, width: 260, height: 200 }).jpeg()],
    ["that is its mirror image", (p) => p.flop().jpeg()],
    [
      "that has other colours",
      (p) =>
        p
          .recomb([
            [0, 0, 1],
            [0, 1, 0],
            [1, 0, 0],
          ])
          .jpeg(),
    ],
    ["that is its negative", (p) => p.negate().jpeg()],
  ])("%s", async (_, change) => {
    await change(await drawn(1)).toFile(path("changed"));
    expect(await findDuplicates(files("a.jpg", "changed"))).toEqual([]);
  });

  it("of the same background, with an object in another place", async () => {
    const square = await sharp({ create: { width: 24, height: 24, channels: 3, background: "#f44" } })
      .png()
      .toBuffer();
    for (const [i, left] of [40, 70, 200].entries())
      await (await drawn(2))
        .composite([{ input: square, left, top: 100 }])
        .jpeg()
        .toFile(path(`object-${i}.jpg`));
    expect(await findDuplicates(files("object-0.jpg", "object-1.jpg", "object-2.jpg"))).toEqual([]);
  });

  it("of the same object in another colour", async () => {
    for (const colour of ["#f00", "#00f", "#909"]) await writePicture(path(`colour${colour}.png`), colour);
    expect(await findDuplicates(files("colour#f00.png", "colour#00f.png", "colour#909.png"))).toEqual([]);
  });

  it("of the same kind, among many", async () => {
    await synthesize(path("synth"), { images: 60, size: 96, seed: 3 });
    const many: SplitFile[] = [];
    for (let seed = 10; seed < 90; seed++) {
      await picture(seed)
        .jpeg()
        .toFile(path(`many-${seed}.jpg`));
      many.push(...files(`many-${seed}.jpg`));
    }
    for (const split of ["train", "valid"] as const)
      for (let i = 0; i < 10; i++)
        many.push({ file: path(`synth/${split}/${split}-${String(i).padStart(5, "0")}.jpg`), split });
    expect(await findDuplicates(many)).toEqual([]);
  });

  it("that is even, unless it has the same shade", async () => {
    for (const [name, level] of [
      ["dark.png", 10],
      ["light.png", 240],
      ["black.png", 8],
    ] as const)
      await sharp({
        create: { width: 50, height: 50, channels: 3, background: { r: level, g: level, b: level } },
      }).toFile(path(name));
    expect(names(await findDuplicates(files("dark.png", "light.png", "black.png")))).toEqual([
      ["dark.png", "black.png"],
    ]);
  });
});

it("passes over files that are missing or do not decode, except for equal bytes", async () => {
  for (const name of ["x.jpg", "y.jpg"]) writeFileSync(path(name), "no picture");
  expect(names(await findDuplicates(files("gone.jpg", "x.jpg", "a.jpg", "y.jpg")))).toEqual([["x.jpg", "y.jpg"]]);
});

it("reports progress and stops when it is asked to", async () => {
  const seen: number[] = [];
  await findDuplicates(files("a.jpg", "none.jpg"), { onProgress: (done, total) => seen.push(done, total) });
  expect(seen).toEqual([1, 2, 2, 2]);
  await expect(findDuplicates(files("a.jpg"), { signal: AbortSignal.abort(new Error("stop")) })).rejects.toThrow(
    "stop",
  );
});
