import { describe, expect, it } from "vitest";
import { metadataBytes, smallOnnx } from "../testing/onnx-file.js";
import { readModelFile } from "./model-file.js";

const file = smallOnnx({
  size: [4, 4],
  cell: 2,
  rows: [[1, 0, 0]],
  metadata: { a: "1", "b.ü": "two" },
  producer: "me",
});

describe("the metadata of an ONNX file", () => {
  it("are read with the names of its producer and its outputs, without nodes and weights", () => {
    const read: [from: number, to: number][] = [];
    const bytes = {
      length: file.length,
      slice(from: number, to: number): Uint8Array {
        read.push([from, to]);
        return file.slice(from, to);
      },
    };
    expect(readModelFile(bytes)).toEqual({
      producer: "me",
      outputs: ["dets", "labels"],
      metadata: { a: "1", "b.ü": "two" },
    });
    expect(read.every(([from, to]) => to - from <= 20)).toBe(true);
  });

  it("may be added at the end of a file", () => {
    const longer = Uint8Array.of(...file, ...metadataBytes({ c: "x".repeat(300) }));
    expect(readModelFile(longer).metadata).toEqual({ a: "1", "b.ü": "two", c: "x".repeat(300) });
  });

  it.each([
    ["text", new TextEncoder().encode("<!doctype html>"), /not those of one|ends in the middle/],
    ["nothing", new Uint8Array(0), /the file holds none/],
    ["a file that was cut off", file.subarray(0, file.length / 2), /ends in the middle, after \d+ bytes/],
  ])("are not those of %s", (_, bytes, reason) => {
    expect(() => readModelFile(bytes)).toThrow(reason);
  });
});
