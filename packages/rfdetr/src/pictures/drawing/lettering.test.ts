import { describe, expect, it } from "vitest";
import { draw } from "./draw.js";
import { fittingLetters, fontWarning, inLine, lettering, strokes } from "./lettering.js";
import { inMachineFonts } from "./machine-fonts.js";

const svg = async (text: string) => (await lettering(text))?.svg(0, 20, 20, "#000") ?? null;

describe("letters", () => {
  it("of printable ASCII need no font", async () => {
    const ascii = String.fromCharCode(...Array.from({ length: 95 }, (_, i) => 32 + i));
    for (const half of [ascii.slice(0, 47), ascii.slice(47)]) expect(await svg(half)).not.toContain("<text");
    expect(await svg("fox – “owl”")).not.toContain("<text");
    if (await inMachineFonts("犬")) expect(await svg("犬")).toContain(">犬</text>");
    else expect(await svg("犬")).toBeNull();
  });

  it("keep their accents where a font has them, and lose them where none has", async () => {
    const drawn = await svg("Störche");
    if (await inMachineFonts("ö")) expect(drawn).toContain(">Störche</text>");
    else expect(drawn).toBe(await svg("Storche"));
    // Two marks that no font puts together with a letter still leave the letter.
    expect(await svg("e\u0332\u0359")).not.toBeNull();
  });

  it("of other scripts are one text, so that they are joined and ordered as their script asks for", async () => {
    for (const name of ["лиса", "αλεπού", "ثعلب", "שועל"])
      if (await inMachineFonts(name)) expect(await svg(name)).toContain(`>${name}</text>`);
  });

  it("that no font can have are none", async () => {
    expect(await inMachineFonts("a\u{2fffe}")).toBe(false);
    expect(await lettering("\ufdd1")).toBeNull();
    expect(await lettering("")).toMatchObject({ width: 0 });
    // Half of a pair of UTF-16.
    expect(await lettering("\ud800")).toBeNull();
  });

  it("have the width that they are drawn with", async () => {
    expect(strokes("mm").width).toBeGreaterThan(strokes("ii").width);
    expect(inLine([strokes("a"), strokes("b")]).width).toBeCloseTo(strokes("a").width + strokes("b").width + 0.36, 10);
    for (const text of ["abcdefgh", "Füchsinnen", "рыжая лиса"]) {
      const found = await lettering(text);
      if (found === null) continue;
      expect(found.width).toBeGreaterThan(text.length * 0.3);
      expect(found.width).toBeLessThan(text.length * 0.9);
      const short = await fittingLetters(text, found.width / 2);
      expect(short?.width).toBeLessThanOrEqual(found.width / 2);
    }
  });

  it("that cannot be drawn give way to the number of the class, and that is told", async () => {
    const image = { data: new Uint8Array(200 * 120 * 3).fill(90), width: 200, height: 120, channels: 3 as const };
    const found = { box: [40, 50, 150, 110], score: 0.5, classId: 12 };
    const named = await draw(image, [{ ...found, className: "\ufdd1\ufdd2" }]);
    const numbered = await draw(image, [{ ...found, className: "class 12" }]);
    expect(named.data).toEqual(numbered.data);
    expect(await fontWarning(["fox", "\ufdd1"])).toBe(
      'No font of this machine has the letters of some class names, so pictures show their numbers: "\ufdd1" is class 1. Install a font that has them, such as Noto',
    );
    expect(await fontWarning(["fox", "Störche"])).toBeNull();
  });
});
