// The safetensors format: the length of the header in 8 bytes, a JSON header, and the bytes of the tensors,
// little-endian and without gaps. https://huggingface.co/docs/safetensors
import { closeSync, fsyncSync, openSync } from "node:fs";
import { empty } from "./create.js";
import { type DType, dtypes } from "./dtype.js";
import { TorchError } from "./errors.js";
import { openToRead, readFully, shown, writeFully } from "./files.js";
import { keep } from "./scope.js";
import type { Tensor } from "./tensor.js";

const dtypeOfCode: ReadonlyMap<unknown, DType> = new Map([
  ["F32", "float32"],
  ["F64", "float64"],
  ["F16", "float16"],
  ["BF16", "bfloat16"],
  ["I64", "int64"],
  ["I32", "int32"],
  ["I16", "int16"],
  ["I8", "int8"],
  ["U8", "uint8"],
  ["BOOL", "bool"],
]);
const codeOfDtype = new Map([...dtypeOfCode].map(([code, dtype]) => [dtype, code]));

/** Most bytes of a header. Those of models have a hundred bytes a tensor. */
const maxHeader = 16 << 20;

/** A file is not in the safetensors format, or is cut off. What to do: copy or write the file again. */
export class SafetensorsError extends TorchError {
  readonly code = "ERR_SAFETENSORS";
  constructor(path: string, found: string) {
    super(`Expected a safetensors file but ${path} ${found}`);
  }
}

/** The content of a file. */
export interface SafetensorsFile {
  tensors: Map<string, Tensor>;
  metadata: Record<string, string>;
}

/** What the header says of a tensor. */
export interface SafetensorsEntry {
  dtype: DType;
  shape: number[];
}

/** The header of a file. */
export interface SafetensorsHeader {
  entries: Map<string, SafetensorsEntry>;
  metadata: Record<string, string>;
}

/** A tensor of the header; its bytes are from `start` to `end` of the data. */
interface Entry extends SafetensorsEntry {
  name: string;
  start: number;
  end: number;
}

/**
 * Reads what a file holds, without the tensors: names, shapes, dtypes and metadata.
 * @throws SafetensorsError; an error of the file system
 *
 * @example
 * const { entries, metadata } = readSafetensorsHeader("weights.safetensors");
 */
export function readSafetensorsHeader(path: string): SafetensorsHeader {
  return withFile(path, (_, { entries, metadata }) => ({
    entries: new Map(entries.map(({ name, dtype, shape }) => [name, { dtype, shape }])),
    metadata,
  }));
}

/**
 * Reads the tensors of a file. They live until disposed of.
 * @param wanted which tensors are read; default: all
 * @throws SafetensorsError; an error of the file system
 *
 * @example
 * const { tensors, metadata } = loadSafetensors("weights.safetensors");
 */
export function loadSafetensors(path: string, wanted: (name: string) => boolean = () => true): SafetensorsFile {
  return withFile(path, (file, { entries, metadata, dataStart }) => {
    const tensors = new Map<string, Tensor>();
    try {
      for (const { name, dtype, shape, start } of entries.filter((entry) => wanted(entry.name))) {
        const result = keep(empty(shape, { dtype, device: "cpu" }));
        tensors.set(name, result);
        if (result.numel === 0) continue;
        const data = new dtypes[dtype].array(result.numel);
        if (readFully(file, Buffer.from(data.buffer), dataStart + start) < data.byteLength)
          throw new SafetensorsError(path, `ends inside the tensor ${name}`);
        result.copyFrom(data);
      }
    } catch (error) {
      for (const tensor of tensors.values()) tensor.dispose();
      throw error;
    }
    return { tensors, metadata };
  });
}

interface Header {
  entries: Entry[];
  metadata: Record<string, string>;
  /** Where in the file the data begin. */
  dataStart: number;
}

function withFile<T>(path: string, body: (file: number, header: Header) => T): T {
  const { file, size } = openToRead(path, (found) => new SafetensorsError(path, found));
  try {
    const head = Buffer.alloc(8);
    if (readFully(file, head, 0) < 8) throw new SafetensorsError(path, `has only ${size} bytes`);
    const length = head.readBigUInt64LE();
    if (length > BigInt(maxHeader) || length > BigInt(size - 8))
      throw new SafetensorsError(path, `claims a header of ${length} bytes in a file of ${size}`);
    const header = Buffer.alloc(Number(length));
    readFully(file, header, 8);
    const dataStart = 8 + header.length;
    return body(file, { ...parseHeader(path, header.toString("utf8"), size - dataStart), dataStart });
  } finally {
    closeSync(file);
  }
}

function parseHeader(path: string, text: string, dataBytes: number): Omit<Header, "dataStart"> {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    throw new SafetensorsError(path, `has a header that is not JSON (${shown((error as Error).message)})`);
  }
  if (typeof header !== "object" || header === null || Array.isArray(header))
    throw new SafetensorsError(path, "has a header that is not an object");
  const { __metadata__: metadata = {}, ...rest } = header as Record<string, unknown>;
  if (!isTextTable(metadata)) throw new SafetensorsError(path, "has metadata that are not a table of texts");
  const entries = Object.entries(rest).map(([name, entry]) => parseEntry(path, name, entry, dataBytes));
  let end = 0;
  for (const entry of [...entries].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (entry.start !== end) throw new SafetensorsError(path, `leaves a gap or overlaps before ${shown(entry.name)}`);
    end = entry.end;
  }
  if (end !== dataBytes)
    throw new SafetensorsError(path, `has ${dataBytes} bytes of data where its header describes ${end}`);
  return { entries, metadata };
}

const isTextTable = (value: unknown): value is Record<string, string> =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  Object.values(value).every((text) => typeof text === "string");

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** A value of the header for an error message. Values may be nested too deeply for JSON.stringify. */
const json = (value: unknown): string => {
  if (typeof value !== "object" || value === null) return shown(String(value));
  return Array.isArray(value) && value.length <= 16 && value.every((each) => typeof each !== "object")
    ? shown(JSON.stringify(value))
    : Array.isArray(value)
      ? "an array"
      : "an object";
};

function parseEntry(path: string, name: string, entry: unknown, dataBytes: number): Entry {
  const { dtype: code, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  const dtype = dtypeOfCode.get(code);
  if (dtype === undefined) {
    const known = [...dtypeOfCode.keys()].join(", ");
    throw new SafetensorsError(path, `stores ${shown(name)} as ${json(code)}, which is none of ${known}`);
  }
  if (!Array.isArray(shape) || shape.length > 16 || !shape.every(isSize))
    throw new SafetensorsError(path, `gives ${shown(name)} the shape ${json(shape)}`);
  const expected = shape.reduce((a, b) => a * b, dtypes[dtype].bytes);
  const [start, end, ...more]: unknown[] = Array.isArray(offsets) ? offsets : [];
  if (!isSize(start) || !isSize(end) || more.length > 0 || end - start !== expected || end > dataBytes)
    throw new SafetensorsError(
      path,
      `places ${shown(name)} at ${json(offsets)}, which does not hold ${expected} bytes inside ${dataBytes}`,
    );
  return { name, dtype, shape, start, end };
}

/**
 * Writes tensors, in the order given, and metadata. The file is on the disk when this returns. To replace a file
 * safely, write to a temporary name and rename.
 * @param written receives the bytes of the file in their order, to make a checksum of what was meant to be written
 * @throws an error of the file system
 *
 * @example
 * const layer = new nn.Linear(4, 2);
 * saveSafetensors("layer.safetensors", layer.stateDict(), { made_by: "me" });
 */
export function saveSafetensors(
  path: string,
  tensors: Map<string, Tensor> | Record<string, Tensor>,
  metadata: Record<string, string> = {},
  written?: (bytes: Uint8Array) => void,
): void {
  const list = tensors instanceof Map ? [...tensors] : Object.entries(tensors);
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  let offset = 0;
  for (const [name, tensor] of list) {
    header[name] = {
      dtype: codeOfDtype.get(tensor.dtype),
      shape: tensor.shape,
      data_offsets: [offset, offset + tensor.nbytes],
    };
    offset += tensor.nbytes;
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, " ")]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const file = openSync(path, "w");
  const write = (bytes: Uint8Array): void => {
    writeFully(file, bytes);
    written?.(bytes);
  };
  try {
    write(length);
    write(padded);
    for (const [, tensor] of list) {
      const bits = tensor.toBits();
      write(Buffer.from(bits.buffer, bits.byteOffset, bits.byteLength));
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
