// Writes a graph as an ONNX file: piece by piece, so that weights are never held twice.
import { closeSync, openSync, writeSync } from "node:fs";
import { basename } from "node:path";
import { elementCode } from "./graph/call.js";
import type { Attribute, Dim, Graph, GraphNode, Value } from "./graph/graph.js";
import { encode, header } from "./onnx-schema.js";
import { opset } from "./opset.js";

/** Version of the file format that came with {@link opset}. */
const irVersion = 8;
/** Protobuf cannot read a message of 2 GiB. */
const largestFile = 2 ** 31 - 2 ** 20;
/** Constants of fewer bytes stay in the file: checkers read shapes from them. */
const smallest = 1024;

/** What a file has beside its graph. */
export interface FileOptions {
  /** Entries of `metadata_props`. */
  metadata: Readonly<Record<string, string>>;
  /** Version of this program. */
  version: string;
  /** Values that are outputs beside those of the graph, to compare one by one. */
  also?: readonly Value[];
  /** Bytes of constants from which they lie in a file of their own; default: just under 2 GiB. */
  externalFrom?: number;
  /** Called with the bytes of constants written so far and in all. */
  progress?: (done: number, total: number) => void;
}

/**
 * Writes the file. Where the constants have more bytes than protobuf can read, they go to `data`, which lies beside it.
 * @param path where to write
 * @param data where to write the constants of a large model; `name` is what the file calls it
 * @returns whether `data` was written
 */
export function writeOnnx(
  graph: Graph,
  path: string,
  data: { path: string; name?: string },
  options: FileOptions,
): boolean {
  const constants = graph.constants();
  const total = constants.reduce((sum, { data }) => sum + (data?.byteLength ?? 0), 0);
  const external = total >= (options.externalFrom ?? largestFile);
  const file = new File(path);
  const beside = external ? new File(data.path) : null;
  try {
    const tensors = constants.map((value) => tensorParts(value, beside, data.name ?? basename(data.path)));
    const rest = graphFields(graph, options.also ?? []);
    const size = (parts: readonly Uint8Array[]): number => parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const initializers = tensors.map((parts) => [header("GraphProto", "initializer", size(parts)), ...parts]);
    const length = rest.byteLength + initializers.reduce((sum, parts) => sum + size(parts), 0);
    file.write(
      encode("ModelProto", {
        irVersion,
        opsetImport: [{ domain: "", version: opset }],
        producerName: "rfdetr",
        producerVersion: options.version,
      }),
    );
    file.write(header("ModelProto", "graph", length));
    file.write(rest);
    for (const parts of initializers) {
      for (const part of parts) file.write(part);
      options.progress?.(Math.min(file.bytes + (beside?.bytes ?? 0), total), total);
    }
    file.write(metadataPart(options.metadata));
    return external;
  } finally {
    file.close();
    beside?.close();
  }
}

/** Metadata as a part of a model, which may also be appended to a written file. */
export function metadataPart(metadata: Readonly<Record<string, string>>): Uint8Array {
  return encode("ModelProto", { metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })) });
}

class File {
  bytes = 0;
  readonly #handle: number;
  constructor(path: string) {
    this.#handle = openSync(path, "w");
  }
  write(part: Uint8Array): void {
    for (let at = 0; at < part.byteLength; ) at += writeSync(this.#handle, part, at);
    this.bytes += part.byteLength;
  }
  close(): void {
    closeSync(this.#handle);
  }
}

/**
 * The parts of a `TensorProto`. The elements are the value's own bytes: every machine that runs this is little-endian.
 */
function tensorParts({ name, shape, dtype, data }: Value, beside: File | null, file: string): Uint8Array[] {
  const { buffer, byteOffset, byteLength } = data as NonNullable<Value["data"]>;
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  const fields = { dims: shape, dataType: elementCode[dtype], name };
  if (beside === null || byteLength < smallest)
    return [encode("TensorProto", fields), header("TensorProto", "rawData", byteLength), bytes];
  const place = { location: file, offset: String(beside.bytes), length: String(byteLength) };
  beside.write(bytes);
  const externalData = Object.entries(place).map(([key, value]) => ({ key, value }));
  return [encode("TensorProto", { ...fields, externalData, dataLocation: 1 })];
}

/** All of a `GraphProto` but its constants. */
function graphFields(graph: Graph, also: readonly Value[]): Uint8Array {
  const outputs = [...graph.outputs, ...also.filter((value) => !graph.outputs.includes(value))];
  const inner = graph.nodes.flatMap(({ outputs }) => outputs).filter((value) => !outputs.includes(value));
  return encode("GraphProto", {
    node: graph.nodes.map(nodeFields),
    name: "rfdetr",
    input: graph.inputs.map(valueInfo),
    output: outputs.map(valueInfo),
    valueInfo: inner.map(valueInfo),
  });
}

function nodeFields({ name, op, inputs, outputs, attributes }: GraphNode): object {
  return {
    name,
    opType: op,
    input: inputs.map((value) => value?.name ?? ""),
    output: outputs.map((value) => value.name),
    attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
  };
}

/** With the numbers of `AttributeProto.AttributeType`. */
function attribute(name: string, value: Attribute): object {
  if (typeof value === "number") return { name, i: value, type: 2 };
  if (typeof value === "string") return { name, s: Buffer.from(value), type: 3 };
  return "float" in value ? { name, f: value.float, type: 1 } : { name, ints: value, type: 7 };
}

function valueInfo({ name, dtype, shape }: Value): object {
  return { name, type: { tensorType: { elemType: elementCode[dtype], shape: { dim: shape.map(dimension) } } } };
}

function dimension(size: Dim): object {
  if (typeof size === "number") return { dimValue: size };
  return { dimParam: size.batch === 1 ? "batch" : `${size.batch}*batch` };
}
