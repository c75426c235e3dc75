// Plain data and tensors as a pickle of protocol 2, in the opcodes that torch's safe loader accepts.
import type { DType } from "../dtype.js";
import { Tensor } from "../tensor.js";

/** What a checkpoint can hold: dictionaries become Python dicts; objects are dicts with their own keys. */
export type Picklable =
  | null
  | boolean
  | number
  | string
  | Tensor
  | readonly Picklable[]
  | ReadonlyMap<string, Picklable>
  | { readonly [key: string]: Picklable };

const storageOf: Record<DType, string> = {
  float32: "FloatStorage",
  float64: "DoubleStorage",
  float16: "HalfStorage",
  bfloat16: "BFloat16Storage",
  int64: "LongStorage",
  int32: "IntStorage",
  int16: "ShortStorage",
  int8: "CharStorage",
  uint8: "ByteStorage",
  bool: "BoolStorage",
};

const op = (code: string): Buffer => Buffer.from(code, "latin1");
const proto = Buffer.from([0x80, 2]);
const newTrue = Buffer.from([0x88]);
const newFalse = Buffer.from([0x89]);
/** ( … t */
const [mark, tuple, dict, setItems, list, appends, none, reduce, persistent, stop] = ["(", "t", "}", "u", "]", "e", "N", "R", "Q", "."].map(
  op,
);
const global = (module: string, name: string): Buffer => op(`c${module}\n${name}\n`);

/**
 * Pickles a value.
 * @returns the pickle, and its tensors: the n-th is the storage with key n
 * @throws TypeError for what is none of {@link Picklable}
 */
export function pickle(value: Picklable): { bytes: Buffer; tensors: Tensor[] } {
  const parts: Buffer[] = [proto];
  const tensors: Tensor[] = [];
  const text = (value: string): void => {
    const bytes = Buffer.from(value, "utf8");
    const head = Buffer.alloc(5);
    head.write("X", "latin1");
    head.writeUInt32LE(bytes.length, 1);
    parts.push(head, bytes);
  };
  const number = (value: number): void => {
    const whole = Number.isInteger(value) && !Object.is(value, -0) && Math.abs(value) < 2 ** 31;
    const bytes = Buffer.alloc(whole ? 5 : 9);
    bytes.write(whole ? "J" : "G", "latin1");
    if (whole) bytes.writeInt32LE(value, 1);
    else bytes.writeDoubleBE(value, 1);
    parts.push(bytes);
  };
  const integers = (values: readonly number[]): void => {
    parts.push(mark);
    values.forEach(number);
    parts.push(tuple);
  };
  const tensor = (value: Tensor): void => {
    const strides: number[] = [];
    value.shape.reduceRight((stride, size, i) => {
      strides[i] = stride;
      return stride * size;
    }, 1);
    parts.push(global("torch._utils", "_rebuild_tensor_v2"), mark);
    // ('storage', type, key, device, elements)
    parts.push(mark);
    text("storage");
    parts.push(global("torch", storageOf[value.dtype]));
    text(String(tensors.length));
    text("cpu");
    number(value.numel);
    parts.push(tuple, persistent);
    number(0);
    integers(value.shape);
    integers(strides);
    parts.push(newFalse, global("collections", "OrderedDict"), mark, tuple, reduce, tuple, reduce);
    tensors.push(value);
  };
  const any = (value: Picklable): void => {
    if (value === null) parts.push(none);
    else if (value === true || value === false) parts.push(value ? newTrue : newFalse);
    else if (typeof value === "number") number(value);
    else if (typeof value === "string") text(value);
    else if (value instanceof Tensor) tensor(value);
    else if (Array.isArray(value)) {
      parts.push(list, mark);
      value.forEach(any);
      parts.push(appends);
    } else if (typeof value === "object") {
      parts.push(dict, mark);
      for (const [key, inner] of value instanceof Map ? value : Object.entries(value)) {
        text(key);
        any(inner as Picklable);
      }
      parts.push(setItems);
    } else throw new TypeError(`Expected plain data or a tensor for a checkpoint but received ${String(value)} of type ${typeof value}`);
  };
  any(value);
  parts.push(stop);
  return { bytes: Buffer.concat(parts), tensors };
}
