import { displayWidth } from "@rfdetr/amp/text";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { unbroken } from "../../support/format.js";
import { bold, green, shortened, widthOf, wrapped, written } from "./style.js";

const words = fc.array(fc.string({ unit: fc.constantFrom("a", "é", "猫", "🦉", "-"), minLength: 1, maxLength: 9 }));

describe("emphasis", () => {
  it("takes no room, and is a colour or nothing when it is written", () => {
    const text = `${bold("AP")} 0.5`;
    expect(widthOf(text)).toBe(6);
    expect(written(text, false)).toBe("AP 0.5");
    expect(written(text, true)).toBe("\x1b[1mAP\x1b[22m 0.5");
    expect(bold("")).toBe("");
  });

  it("lets no control character of a name through", () => {
    expect(written(green("a\x1b[31m\u202e"), true)).toBe("\x1b[32ma\\x1b[31m\\u202e\x1b[39m");
  });
});

describe("text in narrow terminals", () => {
  it("is cut between whole characters, to the columns that they take", () => {
    expect(shortened("owls", 4)).toBe("owls");
    expect(shortened("owls and crows", 6)).toBe("owls …");
    expect(shortened("猫猫猫", 5)).toBe("猫猫…");
    expect(shortened("🦉🦉🦉", 4)).toBe("🦉…");
    expect(shortened(bold("owls"), 3)).toBe("ow…");
    fc.assert(
      fc.property(words, fc.integer({ min: 1, max: 30 }), (list, columns) => {
        const cut = shortened(list.join(" "), columns);
        expect(displayWidth(cut)).toBeLessThanOrEqual(columns);
        expect(cut).not.toMatch(/\p{Cs}/u);
      }),
    );
  });

  it("is broken between words: every word stays, and only a long one is longer than a line", () => {
    fc.assert(
      fc.property(words, fc.integer({ min: 14, max: 40 }), fc.constantFrom(0, 2, 4), (list, columns, indent) => {
        const lines = wrapped(list.join(" "), columns, indent).split("\n");
        expect(lines.flatMap((line) => line.trim().split(" ")).join(" ")).toBe(list.join(" "));
        for (const line of lines) if (line.trim().includes(" ")) expect(displayWidth(line)).toBeLessThan(columns);
      }),
    );
  });

  it("stays in one line where lines may be of any length", () => {
    expect(wrapped("one two three", null, 2)).toBe("one two three");
    expect(wrapped("one two three", 8, 2)).toBe("one two\n  three");
    expect(wrapped("one two three\n1. four five", 8, 2)).toBe("one two\n  three\n1. four\n  five");
    expect(written(wrapped(`one ${unbroken("two three")} four`, 10, 0), false)).toBe("one\ntwo three\nfour");
  });

  it("is not broken inside of backticks", () => {
    expect(written(wrapped("run `rfdetr setup --cuda` once", 10, 0), false)).toBe("run\n`rfdetr setup --cuda`\nonce");
  });
});
