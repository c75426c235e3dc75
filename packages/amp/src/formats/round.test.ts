import { readFileSync } from "node:fs";
import { scope, type Tensor, tensor, zeros } from "@rfdetr/torch";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ElementFormat, type NumberFormat, type NumberFormatName, numberFormats } from "./number-format.js";
import { roundElements, roundMatrix } from "./round.js";

interface Golden {
  x: string;
  grid: string;
  elements: { e4m3: string; e5m2: string };
  matrices: Record<string, { values: string; scale: string | null }>;
  /** What becomes of a matrix with one value that is not finite: zero for all that is finite. */
  broken: Record<string, Record<string, string>>;
}
const golden = JSON.parse(readFileSync(new URL("./fixtures/number-formats.json", import.meta.url), "utf8")) as Golden;
const floats = (base64: string): Float32Array => {
  const bytes = Buffer.from(base64, "base64");
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};
const valuesOf = (x: Tensor): number[] => [...(x.toArray() as Float32Array)];
const e4m3 = numberFormats.fp8.forward;
const e5m2 = numberFormats.fp8.backward;
const e2m1 = numberFormats.mxfp4.forward;

describe("rounding elements", () => {
  it.each([
    ["e4m3", e4m3],
    ["e5m2", e5m2],
  ] as const)("to %s is torch's conversion, saturated", (name, elements) => {
    const rounded = roundElements(tensor([...floats(golden.grid)]), elements);
    expect(valuesOf(rounded)).toEqual([...floats(golden.elements[name])]);
  });

  it("to FP4 has eight magnitudes, and takes halves to the even mantissa", () => {
    const given = [0, 0.25, 0.26, 0.5, 0.75, 1.25, 1.3, 1.75, 2.5, 2.6, 3.5, 5, 5.1, 7, Infinity];
    const nearest = [0, 0, 0.5, 0.5, 1, 1, 1.5, 2, 2, 3, 4, 4, 6, 6, 6];
    expect(valuesOf(roundElements(tensor(given), e2m1))).toEqual(nearest);
  });

  it("keeps NaN, and the sign", () => {
    expect(valuesOf(roundElements(tensor([Number.NaN, -1e9, -3]), e4m3))).toEqual([Number.NaN, -448, -3]);
  });

  const value = fc.double({ min: -1000, max: 1000, noNaN: true });
  it.each([e4m3, e5m2, e2m1])(
    "changes nothing twice, and no value by more than half a step",
    (elements: ElementFormat) => {
      fc.assert(
        fc.property(fc.array(value, { minLength: 1, maxLength: 40 }), (list) =>
          scope(() => {
            const x = tensor(list);
            const once = roundElements(x, elements);
            expect(valuesOf(roundElements(once, elements))).toEqual(valuesOf(once));
            valuesOf(x).forEach((given, i) => {
              const inside = Math.max(-elements.max, Math.min(elements.max, given));
              const power = Math.max(2 ** elements.minExponent, 2 ** Math.floor(Math.log2(Math.abs(inside))));
              const half = (power * 2 ** -elements.mantissaBits) / 2;
              expect(Math.abs((valuesOf(once)[i] as number) - inside)).toBeLessThanOrEqual(half);
            });
          }),
        ),
      );
    },
  );
});

describe("rounding a matrix", () => {
  const x = () => tensor([...floats(golden.x)], { shape: [6, 64] });
  const names = Object.keys(golden.matrices).map((name) => [name]);
  it.each(names)("to %s has the bits of torch and torchao", (name) => {
    const format: NumberFormat = numberFormats[name.split(" ")[0] as NumberFormatName];
    const elements = name.endsWith("gradients") ? format.backward : format.forward;
    const { values, scale } = roundMatrix(x(), elements, format);
    const wanted = golden.matrices[name] as Golden["matrices"][string];
    expect(valuesOf(values)).toEqual([...floats(wanted.values)]);
    expect(scale === null ? null : valuesOf(scale)).toEqual(wanted.scale === null ? null : [...floats(wanted.scale)]);
  });

  it("fills a last block with zeros", () => {
    for (const name of ["mxfp8", "nvfp4"] as const) {
      const format = numberFormats[name];
      const all = roundMatrix(x(), format.forward, format).values;
      const cut = roundMatrix(x().narrow(1, 0, 52), format.forward, format).values;
      const same = name === "mxfp8" ? 32 : 48;
      expect(valuesOf(cut.narrow(1, 0, same).contiguous())).toEqual(valuesOf(all.narrow(1, 0, same).contiguous()));
      expect(cut.shape).toEqual([6, 52]);
    }
  });

  it("makes no NaN of the smallest values, and keeps them near or rounds them to zero", () => {
    for (const format of Object.values(numberFormats))
      for (const value of [1e-35, 1e-37, 1e-39, 1e-44])
        for (const elements of [format.forward, format.backward])
          scope(() => {
            const { values, scale } = roundMatrix(tensor([[value, 0, value / 2, -value]]), elements, format);
            const found = valuesOf(scale === null ? values : values.mul(scale));
            expect(found.every((each) => Math.abs(each) <= 1.3 * value)).toBe(true);
          });
  });

  it.each(
    Object.entries(golden.broken).flatMap(([value, formats]) => Object.keys(formats).map((name) => [name, value])),
  )("to %s lets %s become what it does in torchao", (name, value) => {
    const format: NumberFormat = numberFormats[name.split(" ")[0] as NumberFormatName];
    const given = floats(golden.x).slice(0, 128);
    given[64 + 5] = Number(value.replace("inf", "Infinity"));
    const elements = name.endsWith("gradients") ? format.backward : format.forward;
    const { values, scale } = roundMatrix(tensor([...given], { shape: [2, 64] }), elements, format);
    const found = valuesOf(scale === null ? values : values.mul(scale));
    const wanted = golden.broken[value]?.[name] as string;
    expect(found.map((each) => (Number.isFinite(each) ? 0 : each))).toEqual([...floats(wanted)]);
  });

  it("takes matrices of nothing, and refuses other dtypes in a sentence", () => {
    for (const format of Object.values(numberFormats)) {
      for (const shape of [
        [0, 32],
        [4, 0],
      ])
        expect(roundMatrix(zeros(shape), format.forward, format).values.shape).toEqual(shape);
      for (const dtype of ["float64", "bfloat16"] as const) {
        const message = `Expected a float32 tensor to be rounded but received one of ${dtype}`;
        expect(() => roundElements(zeros([3], { dtype }), format.forward)).toThrow(message);
        for (const shape of [
          [0, 3],
          [2, 3],
        ])
          expect(() => roundMatrix(zeros(shape, { dtype }), format.forward, format)).toThrow(message);
      }
    }
  });
});
