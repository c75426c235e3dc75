// Making tensors. Every factory defaults to float32 on the CPU, whatever the numbers look like.
import { type DType, dtypes } from "./dtype.js";
import { native } from "./native.js";
import * as ops from "./ops.generated.js";
import { Tensor } from "./tensor.js";
import type { NestedNumbers } from "./tensor-methods.js";

export interface TensorOptions {
  dtype?: DType;
  device?: string;
  requiresGrad?: boolean;
}

const dtypeOfArray = new Map<unknown, DType>([
  [Float32Array, "float32"],
  [Float64Array, "float64"],
  [BigInt64Array, "int64"],
  [Int32Array, "int32"],
  [Int16Array, "int16"],
  [Int8Array, "int8"],
  [Uint8Array, "uint8"],
  [Uint8ClampedArray, "uint8"],
  [Buffer, "uint8"],
]);

/**
 * A tensor with a copy of `data`: a number, nested arrays of numbers, or a typed array with a `shape` (default: one axis).
 * A typed array keeps its element type unless `dtype` says otherwise; a Uint16Array needs `dtype` float16 or bfloat16 and is
 * read as bit patterns. Numbers become float32.
 * @throws Error when the shape does not fit the data, or nested arrays are ragged.
 */
export function tensor(data: NestedNumbers | NodeJS.TypedArray, options: TensorOptions & { shape?: readonly number[] } = {}): Tensor {
  let result: Tensor;
  if (ArrayBuffer.isView(data)) {
    const stored = data instanceof Uint16Array ? options.dtype : dtypeOfArray.get(data.constructor);
    if (stored === undefined || (data instanceof Uint16Array && stored !== "float16" && stored !== "bfloat16"))
      throw new TypeError(
        `Expected a typed array of a known element type for data but received ${data.constructor.name}${data instanceof Uint16Array ? " without dtype float16 or bfloat16" : ""}`,
      );
    result = new Tensor(native.fromBytes(data, options.shape ?? [data.length], stored));
  } else {
    const shape: number[] = [];
    for (let level: NestedNumbers = data; Array.isArray(level); level = level[0]) {
      shape.push(level.length);
      if (level.length === 0) break;
    }
    const numbers = (Array.isArray(data) ? data.flat(shape.length as 1) : [data]) as unknown[];
    const expected = shape.reduce((a, b) => a * b, 1);
    const wrong = numbers.find((value) => typeof value !== "number" && typeof value !== "boolean");
    if (numbers.length !== expected || wrong !== undefined)
      throw new TypeError(
        `Expected nested arrays of numbers of one shape for data but received ${wrong === undefined ? "ragged ones" : `${String(wrong)} of type ${typeof wrong}`}`,
      );
    const dtype = options.dtype ?? "float32";
    const exact = dtype === "float64" || dtype === "int64" ? Float64Array : Float32Array;
    const carrier =
      dtypes[dtype].floating || dtype === "int64" || dtype === "bool"
        ? exact.from(numbers as number[])
        : new dtypes[dtype].array(numbers.length);
    if (carrier instanceof Float32Array || carrier instanceof Float64Array)
      result = new Tensor(native.fromBytes(carrier, options.shape ?? shape, exact === Float64Array ? "float64" : "float32"));
    else {
      numbers.forEach((value, i) => {
        (carrier as Int32Array)[i] = Number(value);
      });
      result = new Tensor(native.fromBytes(carrier, options.shape ?? shape, dtype));
    }
    return finish(result, { ...options, dtype });
  }
  return finish(result, options);
}

function finish(made: Tensor, options: TensorOptions): Tensor {
  const result = made.to({ dtype: options.dtype, device: options.device });
  if (result !== made) made.dispose();
  if (options.requiresGrad) result.requiresGrad = true;
  return result;
}

type Factory = { dtype?: DType; device?: string };
const withDefaults = (options: TensorOptions): Factory => ({ dtype: options.dtype ?? "float32", device: options.device });
const leaf = (made: Tensor, options: TensorOptions): Tensor => {
  if (options.requiresGrad) made.requiresGrad = true;
  return made;
};

export const zeros = (shape: readonly number[], options: TensorOptions = {}): Tensor =>
  leaf(ops.zeros(shape, withDefaults(options)), options);
export const ones = (shape: readonly number[], options: TensorOptions = {}): Tensor =>
  leaf(ops.ones(shape, withDefaults(options)), options);
export const full = (shape: readonly number[], value: number, options: TensorOptions = {}): Tensor =>
  leaf(ops.full(shape, value, withDefaults(options)), options);
/** Uninitialised memory. */
export const empty = (shape: readonly number[], options: TensorOptions = {}): Tensor =>
  leaf(ops.empty(shape, withDefaults(options)), options);
/** Uniform on [0, 1), from the default generator. */
export const rand = (shape: readonly number[], options: TensorOptions = {}): Tensor =>
  leaf(ops.rand(shape, withDefaults(options)), options);
/** Standard normal, from the default generator. */
export const randn = (shape: readonly number[], options: TensorOptions = {}): Tensor =>
  leaf(ops.randn(shape, withDefaults(options)), options);
/** Integers on [low, high), int64 unless `dtype` says otherwise. */
export const randint = (low: number, high: number, shape: readonly number[], options: TensorOptions = {}): Tensor =>
  ops.randint(low, high, shape, { dtype: options.dtype ?? "int64", device: options.device });
/** A random permutation of 0…n−1 (int64). */
export const randperm = (n: number, options: TensorOptions = {}): Tensor =>
  ops.randperm(n, { dtype: options.dtype ?? "int64", device: options.device });
/** start, start+step, … below `end`: `arange(4)` is 0 1 2 3. */
export function arange(end: number, options?: TensorOptions): Tensor;
export function arange(start: number, end: number, step?: number, options?: TensorOptions): Tensor;
export function arange(a: number, b?: number | TensorOptions, step = 1, options: TensorOptions = {}): Tensor {
  if (typeof b === "number") return ops.arange(a, b, { step, ...withDefaults(options) });
  return ops.arange(0, a, { step: 1, ...withDefaults(b ?? {}) });
}
/** `steps` numbers from `start` to `end`, both included. */
export const linspace = (start: number, end: number, steps: number, options: TensorOptions = {}): Tensor =>
  ops.linspace(start, end, steps, withDefaults(options));
