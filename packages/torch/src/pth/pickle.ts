// Plain data and tensors as a pickle of protocol 2, in the opcodes that torch's safe loader accepts.
import { Tensor } from "../tensor.js";
import { type OpcodeName, opcodes } from "./opcodes.js";
import { storageClass } from "./storage-types.js";

/** What a checkpoint can hold. Maps and objects become Python dicts. */
export type Picklable =
  | null
  | boolean
  | number
  | string
  | Tensor
  | readonly Picklable[]
  | ReadonlyMap<string, Picklable>
  | { readonly [key: string]: Picklable };

/** An opcode and what follows it. */
const op = (name: OpcodeName, ...rest: Uint8Array[]): Buffer => Buffer.concat([Buffer.from([opcodes[name]]), ...rest]);
/** A name such as `torch.FloatStorage`: its module ends at the last dot. */
const global = (name: string): Buffer => {
  const dot = name.lastIndexOf(".");
  return op("GLOBAL", Buffer.from(`${name.slice(0, dot)}\n${name.slice(dot + 1)}\n`));
};

/**
 * Pickles a value.
 * @returns the pickle, and its tensors: the n-th is the storage with key n
 * @throws TypeError for a value that is not {@link Picklable}
 */
export function pickle(value: Picklable): { bytes: Buffer; tensors: Tensor[] } {
  const pickler = new Pickler();
  pickler.add(value);
  return {
    bytes: Buffer.concat([op("PROTO", Buffer.from([2])), ...pickler.parts, op("STOP")]),
    tensors: pickler.tensors,
  };
}

class Pickler {
  readonly parts: Buffer[] = [];
  readonly tensors: Tensor[] = [];

  add(value: Picklable): void {
    if (value === null) this.#op("NONE");
    else if (typeof value === "boolean") this.#op(value ? "NEWTRUE" : "NEWFALSE");
    else if (typeof value === "number") this.#number(value);
    else if (typeof value === "string") this.#text(value);
    else if (value instanceof Tensor) this.#tensor(value);
    else if (Array.isArray(value)) {
      this.#op("EMPTY_LIST", "MARK");
      for (const element of value) this.add(element);
      this.#op("APPENDS");
    } else if (typeof value === "object") {
      this.#op("EMPTY_DICT", "MARK");
      for (const [key, inner] of value instanceof Map ? value : Object.entries(value)) {
        this.#text(key);
        this.add(inner as Picklable);
      }
      this.#op("SETITEMS");
    } else
      throw new TypeError(
        `Expected plain data or a tensor for a checkpoint but received ${String(value)} of type ${typeof value}`,
      );
  }

  #op(...names: OpcodeName[]): void {
    for (const name of names) this.parts.push(op(name));
  }

  #text(value: string): void {
    const bytes = Buffer.from(value, "utf8");
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    this.parts.push(op("BINUNICODE", length, bytes));
  }

  #number(value: number): void {
    const whole = Number.isInteger(value) && !Object.is(value, -0) && Math.abs(value) < 2 ** 31;
    const bytes = Buffer.alloc(whole ? 4 : 8);
    if (whole) bytes.writeInt32LE(value);
    else bytes.writeDoubleBE(value);
    this.parts.push(op(whole ? "BININT" : "BINFLOAT", bytes));
  }

  #integers(values: readonly number[]): void {
    this.#op("MARK");
    for (const value of values) this.#number(value);
    this.#op("TUPLE");
  }

  /** `_rebuild_tensor_v2(storage, offset, shape, strides, requires grad, hooks)` */
  #tensor(value: Tensor): void {
    const strides: number[] = [];
    value.shape.reduceRight((stride, size, i) => {
      strides[i] = stride;
      return stride * size;
    }, 1);
    this.parts.push(global("torch._utils._rebuild_tensor_v2"), op("MARK"));
    this.#storage(value);
    this.#number(0);
    this.#integers(value.shape);
    this.#integers(strides);
    this.parts.push(op("NEWFALSE"), global("collections.OrderedDict"));
    this.#op("MARK", "TUPLE", "REDUCE", "TUPLE", "REDUCE");
  }

  /** `("storage", class, key, device, elements)` */
  #storage(value: Tensor): void {
    this.#op("MARK");
    this.#text("storage");
    this.parts.push(global(storageClass(value.dtype)));
    this.#text(String(this.tensors.length));
    this.#text("cpu");
    this.#number(value.numel);
    this.#op("TUPLE", "BINPERSID");
    this.tensors.push(value);
  }
}
