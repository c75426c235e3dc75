import { describe, expect, it } from "vitest";
import { fuzz } from "./fuzz.mjs";

describe("damaged and forged files", () => {
  it("are read, or refused in one sentence, in bounded time and memory", async () => {
    const { counts, bad } = await fuzz({ files: 60, seed: 7 });
    expect(bad).toEqual([]);
    expect([...counts.values()].reduce((sum, { accepted, refused }) => sum + accepted + refused, 0)).toBe(60);
  });

  it("are the same in every run of a seed", async () => {
    const { mutateBytes, mutateJson, mutateText, randomOf } = await import("./mutations.mjs");
    const series = (): unknown[] => {
      const random = randomOf(3);
      const draw = (items: number) => Math.floor(random() * items);
      const text = '{"a":[1,2,{"b":"c"}],"d":null}';
      return Array.from({ length: 50 }, () => [
        mutateBytes(draw, Buffer.from(text)).toString("hex"),
        mutateJson(draw, text),
        mutateText(draw, text),
      ]);
    };
    expect(series()).toEqual(series());
  });
});
