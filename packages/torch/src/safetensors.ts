// The safetensors format: 8 bytes of header length, a JSON header, then the tensors' bytes, little-endian and without gaps.
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { empty } from "./create.js";
import { type DType, dtypes } from "./dtype.js";
import { TorchError } from "./errors.js";
import { keep } from "./scope.js";
import type { Tensor } from "./tensor.js";

const names: Record<string, DType> = {
  F32: "float32",
  F64: "float64",
  F16: "float16",
  BF16: "bfloat16",
  I64: "int64",
  I32: "int32",
  I16: "int16",
  I8: "int8",
  U8: "uint8",
  BOOL: "bool",
};
const codes = Object.fromEntries(Object.entries(names).map(([code, dtype]) => [dtype, code])) as Record<DType, string>;

/** The limit that the reference implementation sets on the header. */
const maxHeader = 100_000_000;

/** A file that is not in the safetensors format, or is cut off. */
export class SafetensorsError extends TorchError {
  constructor(path: string, found: string) {
    super("ERR_SAFETENSORS", `Expected a safetensors file but ${path} ${found}`);
  }
}

export interface SafetensorsFile {
  tensors: Map<string, Tensor>;
  metadata: Record<string, string>;
}

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** Reads all tensors of a file, each straight into its own memory. They live until disposed. @throws SafetensorsError */
export function loadSafetensors(path: string): SafetensorsFile {
  const file = openSync(path, "r");
  try {
    const size = fstatSync(file).size;
    const lengthBytes = Buffer.alloc(8);
    if (size < 8 || readSync(file, lengthBytes, 0, 8, 0) < 8) throw new SafetensorsError(path, `has only ${size} bytes`);
    const length = lengthBytes.readBigUInt64LE();
    if (length > BigInt(maxHeader) || length > BigInt(size - 8))
      throw new SafetensorsError(path, `claims a header of ${length} bytes in a file of ${size}`);
    const bytes = Buffer.alloc(Number(length));
    readSync(file, bytes, 0, bytes.length, 8);
    const { entries, metadata } = parseHeader(path, bytes.toString("utf8"), size - 8 - bytes.length);
    const tensors = new Map<string, Tensor>();
    for (const [name, entry] of entries) {
      const dtype = names[entry.dtype];
      const result = keep(empty(entry.shape, { dtype }));
      const data = new dtypes[dtype].array(result.numel);
      const view = Buffer.from(data.buffer);
      for (let done = 0; done < view.length; ) {
        const count = readSync(file, view, done, Math.min(view.length - done, 1 << 30), 8 + bytes.length + entry.data_offsets[0] + done);
        if (count === 0) throw new SafetensorsError(path, `ends inside the tensor ${name}`);
        done += count;
      }
      if (data.length > 0) result.copyFrom(data);
      tensors.set(name, result);
    }
    return { tensors, metadata };
  } finally {
    closeSync(file);
  }
}

function parseHeader(path: string, text: string, dataBytes: number): { entries: [string, Entry][]; metadata: Record<string, string> } {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    throw new SafetensorsError(path, `has a header that is not JSON (${(error as Error).message})`);
  }
  if (typeof header !== "object" || header === null || Array.isArray(header))
    throw new SafetensorsError(path, "has a header that is not an object");
  const { __metadata__: metadata = {}, ...rest } = header as Record<string, unknown>;
  const entries = Object.entries(rest) as [string, Entry][];
  for (const [name, entry] of entries) {
    const dtype = names[entry?.dtype];
    if (dtype === undefined)
      throw new SafetensorsError(path, `stores ${name} as ${String(entry?.dtype)}, which is none of ${Object.keys(names).join(", ")}`);
    const { shape, data_offsets: offsets } = entry;
    if (!Array.isArray(shape) || !shape.every((n) => Number.isSafeInteger(n) && n >= 0))
      throw new SafetensorsError(path, `gives ${name} the shape ${JSON.stringify(shape)}`);
    const expected = shape.reduce((a, b) => a * b, dtypes[dtype].bytes);
    if (
      !Array.isArray(offsets) ||
      offsets.length !== 2 ||
      !offsets.every((n) => Number.isSafeInteger(n) && n >= 0) ||
      offsets[1] - offsets[0] !== expected ||
      offsets[1] > dataBytes
    )
      throw new SafetensorsError(
        path,
        `places ${name} at ${JSON.stringify(offsets)}, which does not hold ${expected} bytes inside ${dataBytes}`,
      );
  }
  let end = 0;
  for (const [name, entry] of [...entries].sort(
    (a, b) => a[1].data_offsets[0] - b[1].data_offsets[0] || a[1].data_offsets[1] - b[1].data_offsets[1],
  )) {
    if (entry.data_offsets[0] !== end) throw new SafetensorsError(path, `leaves a gap or overlaps before ${name}`);
    end = entry.data_offsets[1];
  }
  return { entries, metadata: metadata as Record<string, string> };
}

/** Writes tensors (in the order given) and string metadata. The file is flushed to disk before this returns; write to a temporary name and rename to replace a file safely. */
export function saveSafetensors(
  path: string,
  tensors: Map<string, Tensor> | Record<string, Tensor>,
  metadata: Record<string, string> = {},
): void {
  const list = tensors instanceof Map ? [...tensors] : Object.entries(tensors);
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  let offset = 0;
  for (const [name, tensor] of list) {
    header[name] = { dtype: codes[tensor.dtype], shape: tensor.shape, data_offsets: [offset, offset + tensor.nbytes] };
    offset += tensor.nbytes;
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, " ")]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const file = openSync(path, "w");
  try {
    writeAll(file, length);
    writeAll(file, padded);
    for (const [, tensor] of list) {
      const bits = tensor.toBits();
      writeAll(file, Buffer.from(bits.buffer, bits.byteOffset, bits.byteLength));
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function writeAll(file: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done);
}
