// A pickle reader for tensors and plain data. It builds values; it never calls anything: every name in the file must be on a list of
// constructors known here, and any other one ends the reading.
import { CheckpointError, UnsafePickleError } from "./error.js";

/** An object of a Python class that is kept as its attributes, such as argparse.Namespace. */
export class PickledObject {
  attributes = new Map<unknown, unknown>();
  constructor(readonly className: string) {}
}

export interface PickledStorage {
  /** Class such as `torch.FloatStorage`. */
  type: string;
  key: string;
  elements: number;
}

export interface PickledTensor {
  storage: PickledStorage;
  offset: number;
  shape: number[];
  strides: number[];
}

/** A name such as `torch.float32` or a class that only stands for itself. */
export class PickledName {
  constructor(readonly name: string) {}
}

/** Dicts become Maps, tuples and lists arrays, sets Sets, tensors {@link PickledTensor}s, dtypes and devices {@link PickledName}s. */
export type Pickled = unknown;

const storageTypes = ["Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"].map(
  (name) => `torch.${name}Storage`,
);
const names = new Set([
  ...storageTypes,
  "torch.storage.UntypedStorage",
  ...["float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool", "strided"].map(
    (name) => `torch.${name}`,
  ),
]);
const maxDepth = 1_000_000;

class Global {
  constructor(readonly name: string) {}
}
const mark = Symbol("mark");

const isTensor = (value: unknown): value is PickledTensor =>
  typeof value === "object" && value !== null && "storage" in value && "strides" in value;

/** Reads one pickle (protocols 2 to 5). @throws UnsafePickleError, CheckpointError */
export function unpickle(bytes: Buffer, path: string): Pickled {
  return unpickleAt(bytes, path, 0).value;
}

/** Reads the pickle that begins at a byte. @returns its value, the byte after it, and every storage that it names */
export function unpickleAt(
  bytes: Buffer,
  path: string,
  start: number,
): { value: Pickled; end: number; storages: Map<string, PickledStorage> } {
  let at = start;
  const storages = new Map<string, PickledStorage>();
  const stack: unknown[] = [];
  const memo = new Map<number, unknown>();
  const broken = (what: string): never => {
    throw new CheckpointError(path, `has a broken pickle: ${what} at byte ${at}`);
  };
  const take = (length: number): Buffer => {
    if (!(length >= 0) || at + length > bytes.length) broken("a value reaches beyond the end");
    at += length;
    return bytes.subarray(at - length, at);
  };
  const line = (): string => {
    const end = bytes.indexOf(10, at);
    if (end < 0 || end - at > 10_000) broken("a line without an end");
    const text = bytes.toString("utf8", at, end);
    at = end + 1;
    return text;
  };
  const push = (value: unknown): void => {
    if (stack.length > maxDepth) broken("too deep a stack");
    stack.push(value);
  };
  const pop = (): unknown => (stack.length === 0 ? broken("an empty stack") : stack.pop());
  const top = (): unknown => (stack.length === 0 ? broken("an empty stack") : stack[stack.length - 1]);
  const popMark = (): unknown[] => {
    const from = stack.lastIndexOf(mark);
    if (from < 0) broken("a missing mark");
    const values = stack.splice(from + 1);
    stack.pop();
    return values;
  };
  const text = (value: unknown): string => (typeof value === "string" ? value : (broken("a name that is no text") as never));
  const integer = (value: unknown): number =>
    Number.isSafeInteger(value) ? (value as number) : (broken("a size that is no integer") as never);
  const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : (broken("something that is no tuple") as never));
  const long = (data: Buffer): number | bigint => {
    let value = 0n;
    for (let i = data.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(data[i]);
    if (data.length > 0 && data[data.length - 1] & 0x80) value -= 1n << BigInt(8 * data.length);
    return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  };

  const global = (name: string): unknown => {
    if (names.has(name)) return new PickledName(name);
    if (constructors.has(name)) return new Global(name);
    throw new UnsafePickleError(path, name);
  };
  const tensor = (args: unknown[]): PickledTensor => {
    const [storage, offset, shape, strides] = args;
    if (typeof storage !== "object" || storage === null || !("elements" in storage)) broken("a tensor without a storage");
    return {
      storage: storage as PickledStorage,
      offset: integer(offset),
      shape: list(shape).map(integer),
      strides: list(strides).map(integer),
    };
  };
  const pairs = (value: unknown): Map<unknown, unknown> => {
    const map = new Map<unknown, unknown>();
    for (const pair of value === undefined ? [] : list(value)) map.set(list(pair)[0], list(pair)[1]);
    return map;
  };
  const constructors = new Map<string, (args: unknown[]) => unknown>([
    ["torch._utils._rebuild_tensor_v2", tensor],
    ["torch._utils._rebuild_tensor", tensor],
    ["torch._utils._rebuild_parameter", (args) => (isTensor(args[0]) ? args[0] : broken("a parameter without a tensor"))],
    ["collections.OrderedDict", (args) => pairs(args[0])],
    ["collections.defaultdict", () => new Map()],
    ["torch.Size", (args) => list(args[0]).map(integer)],
    ["torch.device", (args) => new PickledName(`torch.device:${args.map(String).join(":")}`)],
    ["torch.serialization._get_layout", () => new PickledName("torch.strided")],
    ["builtins.set", (args) => new Set(list(args[0]))],
    ["__builtin__.set", (args) => new Set(list(args[0]))],
    ...["argparse.Namespace", "types.SimpleNamespace"].map((name) => [name, () => new PickledObject(name)] as [string, () => unknown]),
    ...["PosixPath", "WindowsPath", "PurePosixPath"].flatMap((name) =>
      ["pathlib", "pathlib._local"].map(
        (module) =>
          [`${module}.${name}`, (args: unknown[]) => args.map(String).join("/").replace(/^\/+/, "/")] as [
            string,
            (args: unknown[]) => unknown,
          ],
      ),
    ),
  ]);
  const construct = (callable: unknown, args: unknown[]): unknown =>
    callable instanceof Global
      ? (constructors.get(callable.name) as (args: unknown[]) => unknown)(args)
      : broken("a call of something that is no constructor");
  const setItems = (target: unknown, items: unknown[]): void => {
    if (items.length % 2) broken("a key without a value");
    for (let i = 0; i < items.length; i += 2) {
      if (target instanceof Map) target.set(items[i], items[i + 1]);
      else if (!(target instanceof PickledObject)) broken("items for something that is no dict");
    }
  };
  const build = (target: unknown, state: unknown): void => {
    if (target instanceof PickledObject && state instanceof Map) for (const [key, value] of state) target.attributes.set(key, value);
    // State of plain containers (attributes of an OrderedDict, of a parameter) carries no data of ours.
  };

  for (;;) {
    const op = take(1)[0];
    switch (op) {
      case 0x80: // PROTO
        if (take(1)[0] > 5) broken("an unknown protocol");
        break;
      case 0x95: // FRAME
        take(8);
        break;
      case 0x2e: {
        // STOP
        const value = pop();
        if (value === mark || value instanceof Global) broken("no value");
        return { value, end: at, storages };
      }
      case 0x28:
        push(mark);
        break;
      case 0x30:
        pop();
        break;
      case 0x31:
        popMark();
        break;
      case 0x32:
        push(top());
        break;
      case 0x4e:
        push(null);
        break;
      case 0x88:
        push(true);
        break;
      case 0x89:
        push(false);
        break;
      case 0x4a:
        push(take(4).readInt32LE());
        break;
      case 0x4b:
        push(take(1)[0]);
        break;
      case 0x4d:
        push(take(2).readUInt16LE());
        break;
      case 0x8a:
        push(long(take(take(1)[0])));
        break;
      case 0x47:
        push(take(8).readDoubleBE());
        break;
      case 0x58:
        push(take(take(4).readUInt32LE()).toString("utf8"));
        break;
      case 0x8c:
        push(take(take(1)[0]).toString("utf8"));
        break;
      case 0x8d:
        push(take(Number(take(8).readBigUInt64LE())).toString("utf8"));
        break;
      case 0x54: // BINSTRING
        push(take(take(4).readInt32LE()).toString("latin1"));
        break;
      case 0x55: // SHORT_BINSTRING
      case 0x43: // SHORT_BINBYTES
        push(take(take(1)[0]).toString("latin1"));
        break;
      case 0x42: // BINBYTES
        push(take(take(4).readUInt32LE()).toString("latin1"));
        break;
      case 0x7d:
        push(new Map());
        break;
      case 0x5d:
      case 0x29:
        push([]);
        break;
      case 0x8f:
        push(new Set());
        break;
      case 0x74: // TUPLE
      case 0x6c: // LIST
        push(popMark());
        break;
      case 0x85:
        push([pop()]);
        break;
      case 0x86: {
        const b = pop();
        push([pop(), b]);
        break;
      }
      case 0x87: {
        const c = pop();
        const b = pop();
        push([pop(), b, c]);
        break;
      }
      case 0x64: {
        // DICT
        const map = new Map();
        setItems(map, popMark());
        push(map);
        break;
      }
      case 0x73: {
        const value = pop();
        const key = pop();
        setItems(top(), [key, value]);
        break;
      }
      case 0x75: {
        const items = popMark();
        setItems(top(), items);
        break;
      }
      case 0x61: {
        const value = pop();
        list(top()).push(value);
        break;
      }
      case 0x65: {
        const values = popMark();
        const target = list(top());
        for (const value of values) target.push(value);
        break;
      }
      case 0x90: {
        // ADDITEMS
        const values = popMark();
        const target = top();
        if (!(target instanceof Set)) broken("items for something that is no set");
        for (const value of values) (target as Set<unknown>).add(value);
        break;
      }
      case 0x91:
        push(new Set(popMark()));
        break;
      case 0x71:
        memo.set(take(1)[0], top());
        break;
      case 0x72:
        memo.set(take(4).readUInt32LE(), top());
        break;
      case 0x94:
        memo.set(memo.size, top());
        break;
      case 0x68:
      case 0x6a: {
        const key = op === 0x68 ? take(1)[0] : take(4).readUInt32LE();
        if (!memo.has(key)) broken("an unknown reference");
        push(memo.get(key));
        break;
      }
      case 0x63: {
        const module = line();
        push(global(`${module}.${line()}`));
        break;
      }
      case 0x93: {
        const name = text(pop());
        push(global(`${text(pop())}.${name}`));
        break;
      }
      case 0x52: // REDUCE
      case 0x81: {
        // NEWOBJ
        const args = list(pop());
        push(construct(pop(), args));
        break;
      }
      case 0x62: {
        const state = pop();
        build(top(), state);
        break;
      }
      case 0x51: {
        // BINPERSID: ("storage", class, key, location, elements)
        const [kind, type, key, , elements] = list(pop());
        if (kind !== "storage" || !(type instanceof PickledName)) broken("a reference to something that is no storage");
        const storage: PickledStorage = { type: (type as PickledName).name, key: text(key), elements: integer(elements) };
        storages.set(storage.key, storage);
        push(storage);
        break;
      }
      default:
        broken(`the operation 0x${op.toString(16)}, which checkpoints do not need,`);
    }
  }
}
