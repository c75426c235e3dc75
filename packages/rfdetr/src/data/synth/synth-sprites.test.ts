import { describe, expect, it } from "vitest";
import { emojiClasses, rasteriseSprites, spriteLicences } from "./synth-sprites.js";

describe("sprites", () => {
  it("hold every class in three families, each at three sizes", async () => {
    const sprites = await rasteriseSprites(emojiClasses.length);
    expect(sprites).toHaveLength(3 * emojiClasses.length);
    for (const { levels } of sprites) {
      expect(levels.map(({ size }) => size)).toEqual([160, 80, 40]);
      for (const { data } of levels) expect(data.some((value) => value > 0)).toBe(true);
    }
  });

  it("come with author and licence of every family", () => {
    for (const text of ["Google Inc", "Apache-2.0", "Twitter", "CC-BY-4.0", "Microsoft Corporation", "MIT"])
      expect(spriteLicences()).toContain(text);
  });
});
