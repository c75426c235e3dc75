import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, expect, it } from "vitest";
import { groupPictures } from "./group-pictures.js";

const folder = mkdtempSync(join(tmpdir(), "groups-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string): string => join(folder, name);
/** A picture of one bright square, in another place for each number. */
async function draw(name: string, place: number): Promise<void> {
  const square = await sharp({ create: { width: 30, height: 30, channels: 3, background: "#fff" } })
    .png()
    .toBuffer();
  const back = sharp({ create: { width: 120, height: 120, channels: 3, background: "#246" } });
  await back
    .composite([{ input: square, left: 30 * (place % 4), top: 30 * Math.floor(place / 4) }])
    .jpeg()
    .toFile(file(name));
}

it("groups duplicates, Roboflow's copies of a picture and, if asked, folders; also through one another", async () => {
  for (let i = 0; i < 7; i++) await draw(`${i}.jpg`, i);
  copyFileSync(file("0.jpg"), file("copy.jpg"));
  const pictures = [
    { name: "x/a_jpg.rf.111.jpg", file: file("0.jpg") },
    { name: "x/a_jpg.rf.222.jpg", file: file("1.jpg") },
    { name: "y/b.jpg", file: file("copy.jpg") },
    { name: "y/c.jpg", file: file("2.jpg") },
    { name: "z/a_jpg.rf.333.jpg", file: file("3.jpg") },
    { name: "d.jpg", file: file("4.jpg") },
    { name: "e.jpg", file: file("4.jpg") },
    { name: "f.jpg", file: file("5.jpg") },
  ];
  expect(await groupPictures(pictures)).toEqual([0, 0, 0, 1, 2, 3, 3, 4]);
  expect(await groupPictures(pictures, { folders: true })).toEqual([0, 0, 0, 0, 1, 2, 2, 2]);
});
