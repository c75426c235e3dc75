import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { chooseOrientation, orient } from "./orientation.js";

const landscape = { width: 640, height: 480 };
const portrait = { width: 480, height: 640 };

describe("chooseOrientation", () => {
  it.each([5, 6, 7, 8])("takes the frame that the annotated size shows, for orientation %i", (orientation) => {
    const header = { ...landscape, orientation };
    expect(chooseOrientation(header, portrait)).toBe(orientation);
    expect(chooseOrientation(header, landscape)).toBe(1);
    // Annotated at another scale.
    expect(chooseOrientation(header, { width: 241, height: 320 })).toBe(orientation);
    expect(chooseOrientation(header, { width: 320, height: 241 })).toBe(1);
  });

  it("turns upright where the size does not tell", () => {
    expect(chooseOrientation({ ...landscape, orientation: 6 }, null)).toBe(6);
    expect(chooseOrientation({ ...landscape, orientation: 6 }, { width: 100, height: 100 })).toBe(6);
    expect(chooseOrientation({ width: 60, height: 60, orientation: 6 }, { width: 60, height: 60 })).toBe(6);
    for (const orientation of [2, 3, 4])
      expect(chooseOrientation({ ...landscape, orientation }, landscape)).toBe(orientation);
  });

  it("tells nearly square sizes apart only when they are exact", () => {
    const header = { width: 100, height: 101, orientation: 6 };
    expect(chooseOrientation(header, { width: 100, height: 101 })).toBe(1);
    expect(chooseOrientation(header, { width: 101, height: 100 })).toBe(6);
    expect(chooseOrientation(header, { width: 50, height: 50 })).toBe(6);
  });
});

describe("orient", () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])("turns as libvips does, orientation %i", async (orientation) => {
    const data = Uint8Array.from({ length: 5 * 3 * 3 }, (_, i) => i * 5);
    const tagged = await sharp(data, { raw: { width: 5, height: 3, channels: 3 } })
      .withMetadata({ orientation })
      .png()
      .toBuffer();
    const upright = await sharp(tagged).autoOrient().raw().toBuffer({ resolveWithObject: true });
    const { width, height } = upright.info;
    const turned = orient({ data, width: 5, height: 3 }, orientation);
    expect([turned.width, turned.height, ...turned.data]).toEqual([width, height, ...upright.data]);
  });
});
