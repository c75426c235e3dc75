import { describe, expect, it } from "vitest";
import { displayWidth, formatBytes, textTable } from "./text.js";

describe("text", () => {
  it("shows bytes in the largest unit that fits, with three digits", () => {
    expect([12, 1536, 20 * 2 ** 20, 999.7 * 2 ** 20, 1.33 * 2 ** 30].map(formatBytes)).toEqual([
      "12 B",
      "1.50 KiB",
      "20.0 MiB",
      "0.976 GiB",
      "1.33 GiB",
    ]);
  });

  it("counts the columns of a terminal: two for East Asian characters and emoji, none for accents that follow", () => {
    expect(["owl", "猫", "ネコ", "고양이", "e\u0301", "🐈"].map(displayWidth)).toEqual([3, 2, 4, 6, 1, 2]);
    expect(textTable(["class", "AP"], [["猫", "0.9"]])).toBe("class   AP\n猫     0.9");
  });

  it("aligns tables: words left, numbers with their units right", () => {
    const rows = [
      ["cat", "0.9", "12 B", "1.0×"],
      ["airplane", "–", "1.50 KiB", "12.5×"],
    ];
    expect(textTable(["class", "AP", "size", "ratio"], rows).split("\n")).toEqual([
      "class      AP      size  ratio",
      "cat       0.9      12 B   1.0×",
      "airplane    –  1.50 KiB  12.5×",
    ]);
  });
});
