import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { tensor, zeros } from "../create.js";
import type { DType } from "../dtype.js";
import type { Tensor } from "../tensor.js";
import { type Picklable, type PickledTensor, PthFile, savePth } from "./index.js";
import { pickle } from "./pickle.js";
import { unpickle } from "./unpickle.js";

const folder = mkdtempSync(join(tmpdir(), "save-pth-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "a.pth");

/** As the reader gives it: dictionaries are maps. */
const asRead = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(asRead);
  if (typeof value === "object" && value !== null)
    return new Map(Object.entries(value).map(([key, inner]) => [key, asRead(inner)]));
  return value;
};

describe("a pickle", () => {
  const data = fc.letrec<{ value: Picklable }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.constant(null),
      fc.boolean(),
      fc.integer(),
      fc.double({ noNaN: true }),
      fc.string({ unit: "grapheme" }),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(fc.string(), tie("value"), { maxKeys: 4, noNullPrototype: true }),
    ),
  })).value;

  it("of any plain data reads back as it was", () => {
    fc.assert(
      fc.property(data, (value) => {
        expect(unpickle(pickle(value).bytes, "test")).toEqual(asRead(value));
      }),
    );
  });

  it("refuses what is no plain data", () => {
    expect(() => pickle({ a: undefined } as never)).toThrow(
      /^Expected plain data or a tensor for a checkpoint but received undefined of type undefined$/,
    );
  });
});

describe("a checkpoint that was written", () => {
  const dtypes: DType[] = [
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
  ];
  const tensors = new Map<string, Tensor>([
    ...dtypes.map(
      (dtype) =>
        [
          dtype,
          tensor(
            [
              [0, 1, 1],
              [1, 0, 1],
            ],
            { dtype },
          ),
        ] as const,
    ),
    ["scalar", tensor(2.5)],
    ["empty", zeros([0, 3])],
    [
      "transposed",
      tensor([
        [1, 2, 3],
        [4, 5, 6],
      ]).t(),
    ],
  ]);

  it("holds every dtype, scalars, empty tensors and views, beside plain data", () => {
    savePth(path, { model: tensors, epoch: 3, args: { class_names: ["Käfer", "bee"] } });
    const file = new PthFile(path);
    const content = file.content as Map<string, Map<string, PickledTensor>>;
    expect(content.get("epoch")).toBe(3);
    expect(content.get("args")).toEqual(new Map([["class_names", ["Käfer", "bee"]]]));
    for (const [name, written] of tensors) {
      const read = file.read(name, content.get("model")?.get(name) as PickledTensor);
      expect([read.dtype, read.shape, read.toList()], name).toEqual([written.dtype, written.shape, written.toList()]);
    }
    file.close();
  });

  it("is the same file for the same content, with every tensor at a multiple of 64 bytes", () => {
    savePth(path, { model: tensors });
    const first = readFileSync(path);
    savePth(path, { model: tensors });
    expect(readFileSync(path).equals(first)).toBe(true);
    expect(first.length).toBe(statSync(path).size);
    for (let at = 0; ; ) {
      at = first.indexOf(Buffer.from([0x50, 0x4b, 3, 4]), at);
      if (at < 0) break;
      expect((at + 30 + first.readUInt16LE(at + 26) + first.readUInt16LE(at + 28)) % 64).toBe(0);
      at += 4;
    }
  });
});
