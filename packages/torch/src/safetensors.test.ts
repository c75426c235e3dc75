import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import {
  type DType,
  loadSafetensors,
  randn,
  readSafetensorsHeader,
  saveSafetensors,
  type Tensor,
  tensor,
  zeros,
} from "./index.js";

const folder = mkdtempSync(join(tmpdir(), "safetensors-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "file.safetensors");

function withHeader(header: string, data = new Uint8Array(0), claimed = Buffer.byteLength(header)): string {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(claimed));
  writeFileSync(path, Buffer.concat([length, Buffer.from(header), data]));
  return path;
}

describe("safetensors", () => {
  it("round-trips every dtype, empty tensors, views and metadata", () => {
    const tensors: Record<string, Tensor> = {
      empty: zeros([0, 3]),
      view: randn([4, 6]).transpose(0, 1),
      scalar: tensor(2.5),
    };
    for (const dtype of [
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
    ] as DType[])
      tensors[dtype] = tensor(
        [
          [1, 0],
          [1, 1],
        ],
        { dtype },
      );
    saveSafetensors(path, tensors, { format: "pt" });
    const { tensors: loaded, metadata } = loadSafetensors(path);
    expect(metadata).toEqual({ format: "pt" });
    for (const [name, value] of Object.entries(tensors)) {
      expect(loaded.get(name)?.dtype).toBe(value.dtype);
      expect(loaded.get(name)?.toList()).toEqual(value.toList());
    }
  });

  it.each([
    [
      "is too short",
      () => {
        writeFileSync(path, "abc");
        return path;
      },
      /has only 3 bytes/,
    ],
    ["claims too long a header", () => withHeader("{}", undefined, 1e9), /claims a header of 1000000000 bytes/],
    ["is not JSON", () => withHeader("{nope"), /not JSON/],
    [
      "has an unknown dtype",
      () => withHeader('{"a":{"dtype":"F8","shape":[1],"data_offsets":[0,1]}}', new Uint8Array(1)),
      /stores a as F8/,
    ],
    [
      "has offsets beyond the file",
      () => withHeader('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}', new Uint8Array(2)),
      /does not hold 4 bytes inside 2/,
    ],
    [
      "has a shape that does not fit",
      () => withHeader('{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,4]}}', new Uint8Array(4)),
      /does not hold 16 bytes/,
    ],
    [
      "has a negative shape",
      () => withHeader('{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}', new Uint8Array(1)),
      /shape \[-1\]/,
    ],
    [
      "overlaps",
      () =>
        withHeader(
          '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}',
          new Uint8Array(3),
        ),
      /gap or overlaps before b/,
    ],
    [
      "goes on behind its tensors",
      () => withHeader('{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}', new Uint8Array(3)),
      /has 3 bytes of data where its header describes 2/,
    ],
    [
      "claims a header one byte too short, which shifts all tensors",
      () => withHeader('{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}} ', new Uint8Array(2), 53),
      /has 3 bytes of data where its header describes 2/,
    ],
    [
      "has metadata without content",
      () => withHeader('{"__metadata__":null}'),
      /metadata that are not a table of texts/,
    ],
    ["has metadata of numbers", () => withHeader('{"__metadata__":{"a":1}}'), /metadata that are not a table of texts/],
    [
      "has a shape nested beyond the stack",
      () => withHeader(`{"a":{"dtype":"U8","shape":${"[".repeat(1e5)}${"]".repeat(1e5)}}}`),
      /gives a the shape an array/,
    ],
    [
      "is a web page",
      () => {
        writeFileSync(path, "<!DOCTYPE html><html><body>Sign in</body></html>");
        return path;
      },
      /is a web page, such as a login or an error, not the file itself/,
    ],
    [
      "is a pointer of Git LFS",
      () => {
        writeFileSync(path, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
        return path;
      },
      /is a pointer of Git LFS/,
    ],
    ["is a device", () => "/dev/zero", /is not a file/],
    ["is a folder", () => folder, /is not a file/],
  ])("refuses a file that %s, by name", (_, write, message) => {
    const file = write();
    expect(() => loadSafetensors(file)).toThrow(message);
    expect(() => loadSafetensors(file)).toThrow(file);
  });

  it("reads the header alone, and only the tensors that are wanted", () => {
    saveSafetensors(path, { a: zeros([2, 3]), b: tensor([1]) }, { made: "here" });
    const { entries, metadata } = readSafetensorsHeader(path);
    expect([...entries]).toEqual([
      ["a", { dtype: "float32", shape: [2, 3] }],
      ["b", { dtype: "float32", shape: [1] }],
    ]);
    expect(metadata).toEqual({ made: "here" });
    expect([...loadSafetensors(path, (name) => name === "b").tensors.keys()]).toEqual(["b"]);
  });

  it("refuses a truncated file", () => {
    saveSafetensors(path, { a: zeros([100]) });
    writeFileSync(path, readFileSync(path).subarray(0, 200));
    expect(() => loadSafetensors(path)).toThrow(/inside/);
  });
});
