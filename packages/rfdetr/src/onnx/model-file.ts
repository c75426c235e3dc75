// Reads the metadata of an ONNX file, a protobuf message `ModelProto` (onnx.proto3). Runtimes do not hand the metadata
// out in the browser. Of the graph only the names of its outputs are read; nodes and weights are passed over. No import
// of Node.

/** Bytes of a file, wherever they are. */
export interface FileBytes {
  readonly length: number;
  /** The bytes from `from` to `to`, or to the end of the file. */
  slice(from: number, to: number): Uint8Array;
}

/** Numbers of the fields that are read. */
const fields = { producerName: 2, graph: 7, metadata: 14, key: 1, value: 2, output: 12, name: 1 } as const;

/** The longest tag with its length: two numbers of at most ten bytes. */
const longestHead = 20;

/** What an ONNX file says of itself. */
export interface ModelFile {
  producer: string;
  /** Names of the graph's outputs. */
  outputs: string[];
  metadata: Record<string, string>;
}

/**
 * Reads the head of an ONNX file.
 * @throws Error if the bytes are not those of an ONNX file
 */
export function readModelFile(bytes: FileBytes): ModelFile {
  const file: ModelFile = { producer: "", outputs: [], metadata: {} };
  let graphs = 0;
  for (const { field, from, to } of messageFields(bytes)) {
    if (field === fields.producerName) file.producer = text(bytes.slice(from, to));
    if (field === fields.graph) {
      graphs++;
      file.outputs.push(...outputNames(partOf(bytes, from, to)));
    }
    if (field !== fields.metadata) continue;
    const entry = bytes.slice(from, to);
    const parts = new Map<number, string>();
    for (const part of messageFields(entry)) parts.set(part.field, text(entry.subarray(part.from, part.to)));
    file.metadata[parts.get(fields.key) ?? ""] = parts.get(fields.value) ?? "";
  }
  if (graphs !== 1) throw new Error("Expected a graph but the file holds none");
  return file;
}

function* outputNames(graph: FileBytes): Generator<string> {
  for (const { field, from, to } of messageFields(graph)) {
    if (field !== fields.output) continue;
    const output = partOf(graph, from, to);
    for (const part of messageFields(output))
      if (part.field === fields.name) yield text(output.slice(part.from, part.to));
  }
}

function partOf(bytes: FileBytes, start: number, end: number): FileBytes {
  return { length: end - start, slice: (from, to) => bytes.slice(start + from, start + to) };
}

interface Field {
  field: number;
  /** Where the content of a field with a length begins and ends; both are 0 for others. */
  from: number;
  to: number;
}

function* messageFields(bytes: FileBytes): Generator<Field> {
  for (let at = 0; at < bytes.length; ) {
    const head = bytes.slice(at, Math.min(at + longestHead, bytes.length));
    const tag = readVarint(head, 0);
    const [field, wire] = [Math.floor(tag.value / 8), tag.value % 8];
    if (wire === 2) {
      const { value: length, next } = readVarint(head, tag.next);
      const from = at + next;
      if (from + length > bytes.length)
        throw new Error(`Expected a whole file but it ends in the middle, after ${bytes.length} bytes`);
      yield { field, from, to: from + length };
      at = from + length;
    } else {
      yield { field, from: 0, to: 0 };
      if (wire === 0) at += readVarint(head, tag.next).next;
      else if (wire === 1) at += tag.next + 8;
      else if (wire === 5) at += tag.next + 4;
      else throw noMessage();
    }
  }
}

function readVarint(bytes: Uint8Array, start: number): { value: number; next: number } {
  let value = 0;
  for (let i = 0; i < 10 && start + i < bytes.length; i++) {
    const byte = bytes[start + i];
    value += (byte & 127) * 2 ** (7 * i);
    if (byte < 128) return { value, next: start + i + 1 };
  }
  throw noMessage();
}

const noMessage = (): Error => new Error("Expected a protobuf message but the bytes are not those of one");

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
