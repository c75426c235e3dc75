import { describe, expect, test } from "vitest";
import { breaches } from "./spreads.mjs";

const path = "packages/rfdetr/src/data/a.ts";
const wrong = (text: string, allowed: string[] = []) =>
  breaches([{ path, text }], new Set(allowed)).map((breach) => breach.slice(path.length + 1));

describe("calls with a list spread out", () => {
  test.each(["list.push(0, ...others)", "this.#made.unshift(...made)", "Math.max(0, ...sides)", "Int32Array.of(...a)"])(
    "%s is refused",
    (call) => {
      expect(wrong(`// a comment\n${call};`)).toEqual([expect.stringMatching(/^2: .* spreads a list/)]);
    },
  );

  test.each(["list.push(0)", "const all = [...a, ...b];", "join(...names)", "Math.max(a, b)", "of(...splits)"])(
    "%s may stay",
    (text) => {
      expect(wrong(text)).toEqual([]);
    },
  );

  test("an excepted file may, as long as it does", () => {
    expect(wrong("list.push(...few);", [path])).toEqual([]);
    expect(wrong("list.push(1);", [path])).toEqual([expect.stringContaining("spreads no list")]);
  });
});
