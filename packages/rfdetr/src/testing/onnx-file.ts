// Small ONNX files for tests: a detector with one query for each cell of a grid, whose class logits are sums over the
// cell's mean colour, and whose box is the cell. Written by hand after onnx.proto3.
import { writeFileSync } from "node:fs";

/** What the detector of a file looks like. */
export interface SmallDetector {
  /** Height and width of the input in pixels; null makes the batch and both free. */
  size: readonly [height: number, width: number];
  /** Side of a cell in pixels. */
  cell: number;
  /** Weights of red, green and blue for each row of the class head. */
  rows: readonly (readonly [number, number, number])[];
  metadata?: Readonly<Record<string, string>>;
  producer?: string;
  opset?: number;
}

const encoder = new TextEncoder();

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) + 128);
  }
}

const number = (field: number, value: number): number[] => [...varint(field << 3), ...varint(value)];
const bytes = (field: number, content: Iterable<number>): number[] => {
  const all = [...content];
  return [...varint((field << 3) | 2), ...varint(all.length), ...all];
};
const text = (field: number, content: string): number[] => bytes(field, encoder.encode(content));

/** The metadata of a file as bytes that belong to its end: a message of protobuf may be continued. */
export function metadataBytes(metadata: Readonly<Record<string, string>>): Uint8Array {
  return Uint8Array.from(
    Object.entries(metadata).flatMap(([key, value]) => bytes(14, [...text(1, key), ...text(2, value)])),
  );
}

const [FLOAT, INT64] = [1, 7];

function tensor(name: string, dims: readonly number[], values: Float32Array | BigInt64Array): number[] {
  const kind = values instanceof Float32Array ? FLOAT : INT64;
  return [...dims.flatMap((dim) => number(1, dim)), ...number(2, kind), ...text(8, name), ...bytes(9, raw(values))];
}

const raw = (values: Float32Array | BigInt64Array): Uint8Array => new Uint8Array(values.buffer);

function node(
  op: string,
  inputs: readonly string[],
  output: string,
  ints: Record<string, readonly number[]> = {},
): number[] {
  const attributes = Object.entries(ints).flatMap(([name, list]) =>
    bytes(5, [...text(1, name), ...list.flatMap((value) => number(8, value)), ...number(20, 7)]),
  );
  return [...inputs.flatMap((input) => text(1, input)), ...text(2, output), ...text(4, op), ...attributes];
}

function value(name: string, shape: readonly (number | string)[]): number[] {
  const dims = shape.flatMap((dim) => bytes(1, typeof dim === "number" ? number(1, dim) : text(2, dim)));
  return [...text(1, name), ...bytes(2, bytes(1, [...number(1, FLOAT), ...bytes(2, dims)]))];
}

/** The bytes of a file, with `input`, `dets` and `labels` as exported detectors have them. Any batch. */
export function smallOnnx({
  size: [height, width],
  cell,
  rows,
  metadata = {},
  producer = "test",
  opset = 17,
}: SmallDetector): Uint8Array {
  const [down, across] = [height / cell, width / cell];
  const queries = down * across;
  const boxes = Array.from({ length: queries }, (_, i) => [
    ((i % across) + 0.5) / across,
    (Math.floor(i / across) + 0.5) / down,
    1 / across,
    1 / down,
  ]);
  const list = (...values: number[]): BigInt64Array => BigInt64Array.from(values, BigInt);
  const graph = [
    // [B, 3, H, W] → mean of each cell → [B, cells, 3] → logits [B, cells, rows]
    ...bytes(1, node("AveragePool", ["input"], "cells", { kernel_shape: [cell, cell], strides: [cell, cell] })),
    ...bytes(1, node("Reshape", ["cells", "flat"], "colours")),
    ...bytes(1, node("Transpose", ["colours"], "queries", { perm: [0, 2, 1] })),
    ...bytes(1, node("MatMul", ["queries", "weights"], "labels")),
    // A box for each cell of every image of the batch.
    ...bytes(1, node("MatMul", ["queries", "nothing"], "zeros")),
    ...bytes(1, node("Add", ["zeros", "boxes"], "dets")),
    ...text(2, "small"),
    ...bytes(5, tensor("flat", [3], list(0, 3, queries))),
    ...bytes(
      5,
      tensor("weights", [3, rows.length], Float32Array.from([0, 1, 2].flatMap((c) => rows.map((row) => row[c])))),
    ),
    ...bytes(5, tensor("nothing", [3, 4], new Float32Array(12))),
    ...bytes(5, tensor("boxes", [1, queries, 4], Float32Array.from(boxes.flat()))),
    ...bytes(11, value("input", ["batch", 3, height, width])),
    ...bytes(12, value("dets", ["batch", queries, 4])),
    ...bytes(12, value("labels", ["batch", queries, rows.length])),
  ];
  return Uint8Array.from([
    ...number(1, 8),
    ...text(2, producer),
    ...bytes(7, graph),
    ...bytes(8, [...text(1, ""), ...number(2, opset)]),
    ...metadataBytes(metadata),
  ]);
}

/** Writes a file. @returns its path */
export function writeSmallOnnx(path: string, detector: SmallDetector): string {
  writeFileSync(path, smallOnnx(detector));
  return path;
}
