import { describe, expect, it } from "vitest";
import { draw } from "./draw.js";
import { canBeDrawn } from "./machine-fonts.js";

describe("letters", () => {
  it("of the stroke font can be drawn, those that no font can have cannot", async () => {
    expect(await canBeDrawn("Störche & Möwen 7")).toBe(true);
    expect(await canBeDrawn("")).toBe(true);
    expect(await canBeDrawn("a\u{2fffe}")).toBe(false);
    expect(await canBeDrawn("\ufdd1")).toBe(false);
    // Half of a pair of UTF-16: what is drawn for it is up to the escape.
    expect(typeof (await canBeDrawn("\ud800"))).toBe("boolean");
  });

  it("that cannot be drawn give way to the number of the class", async () => {
    const image = { data: new Uint8Array(200 * 120 * 3).fill(90), width: 200, height: 120, channels: 3 as const };
    const found = { box: [40, 50, 150, 110], score: 0.5, classId: 12 };
    const named = await draw(image, [{ ...found, className: "\ufdd1\ufdd2" }]);
    const numbered = await draw(image, [{ ...found, className: "class 12" }]);
    expect(named.data).toEqual(numbered.data);
  });
});
