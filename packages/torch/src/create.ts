// Factories. Every one defaults to float32 on the CPU, whatever the numbers look like, unless it says otherwise.
import { type DType, dtypes } from "./dtype.js";
import { native } from "./native.js";
import * as ops from "./ops.generated.js";
import { Tensor } from "./tensor.js";
import type { NestedNumbers } from "./tensor-methods.js";

/** Where tensors are made whose options name no device. */
let defaultDevice: string | undefined;

/**
 * Runs `body`, in which tensors are made on `device` where no other is named. On the device `meta` tensors have shapes
 * and no memory: a model that is made there tells its sizes at no cost. As `with torch.device(…)`.
 *
 * @example
 * const head = withDevice("meta", () => new nn.Linear(256, 91));
 * head.weight.shape; // [91, 256]
 */
export function withDevice<T>(device: string, body: () => T): T {
  const before = defaultDevice;
  defaultDevice = device;
  try {
    return body();
  } finally {
    defaultDevice = before;
  }
}

/** Dtype and device of a new tensor. */
export interface TensorOptions {
  dtype?: DType;
  /** `cpu` (the default, or that of {@link withDevice}), `cuda`, `cuda:1`, … */
  device?: string;
  /** Whether autograd records what is computed from the tensor, and keeps its gradient. */
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
 * A tensor with a copy of `data`.
 * @param data a number, nested arrays of numbers, or a typed array with a `shape` (default: one axis). Numbers become
 * float32. A typed array keeps its element type unless `dtype` says otherwise; a Uint16Array needs `dtype` float16 or
 * bfloat16 and holds bit patterns.
 * @throws TypeError for ragged arrays and for elements that are not numbers; Error when the shape does not fit the data
 *
 * @example
 * const x = tensor([[1, 2], [3, 4]]); // float32[2,2]
 * const mask = tensor(new Uint8Array(12), { shape: [3, 4], dtype: "bool" });
 */
export function tensor(
  data: NestedNumbers | NodeJS.TypedArray,
  options: TensorOptions & { shape?: readonly number[] } = {},
): Tensor {
  if (ArrayBuffer.isView(data)) return finish(fromTypedArray(data, options.dtype, options.shape), options);
  const dtype = options.dtype ?? "float32";
  return finish(fromNumbers(data, dtype, options.shape), { ...options, dtype });
}

function fromTypedArray(
  data: NodeJS.TypedArray,
  dtype: DType | undefined,
  shape: readonly number[] | undefined,
): Tensor {
  const bits = data instanceof Uint16Array;
  const stored = bits ? dtype : dtypeOfArray.get(data.constructor);
  if (stored === undefined || (bits && stored !== "float16" && stored !== "bfloat16"))
    throw new TypeError(
      "Expected a typed array of a known element type for data but received " +
        `${data.constructor.name}${bits ? " without dtype float16 or bfloat16" : ""}`,
    );
  return new Tensor(native.fromBytes(data, shape ?? [data.length], stored));
}

/** Float32 and float64 tensors are left for {@link finish} to convert: libtorch rounds to float16 and bfloat16. */
function fromNumbers(data: NestedNumbers, dtype: DType, shape: readonly number[] | undefined): Tensor {
  const found = shapeOf(data);
  const numbers: number[] = [];
  collect(data, found, 0, numbers);
  if (dtypes[dtype].floating || dtype === "int64" || dtype === "bool") {
    const exact = dtype === "float64" || dtype === "int64";
    const carrier = (exact ? Float64Array : Float32Array).from(numbers);
    return new Tensor(native.fromBytes(carrier, shape ?? found, exact ? "float64" : "float32"));
  }
  const carrier = new dtypes[dtype].array(numbers.length) as Int32Array;
  numbers.forEach((value, i) => {
    carrier[i] = Number(value);
  });
  return new Tensor(native.fromBytes(carrier, shape ?? found, dtype));
}

/** The lengths of the first row of each axis. */
function shapeOf(data: NestedNumbers | undefined): number[] {
  return Array.isArray(data) ? [data.length, ...shapeOf(data[0])] : [];
}

/** Appends the elements of `data`, which begins at an axis of the shape, in row-major order. */
function collect(data: NestedNumbers, shape: readonly number[], axis: number, into: number[]): void {
  if (axis < shape.length ? !Array.isArray(data) || data.length !== shape[axis] : Array.isArray(data))
    throw new TypeError(
      "Expected a rectangular nested array of numbers for data but received rows of different lengths",
    );
  if (Array.isArray(data)) for (const row of data) collect(row, shape, axis + 1, into);
  else if (typeof data === "number" || typeof data === "boolean") into.push(data);
  else
    throw new TypeError(
      `Expected nested arrays of numbers for data but received ${String(data)} of type ${typeof data}`,
    );
}

/** Bytes from which a copy to a GPU goes through pinned memory, which the GPU reads while this thread goes on. */
const worthPinning = 1 << 16;

/** Converts to the dtype and the device that were asked for. */
function finish(made: Tensor, options: TensorOptions): Tensor {
  const device = options.device ?? defaultDevice;
  const pinned = device?.startsWith("cuda") && made.nbytes >= worthPinning;
  const source = pinned ? ops.pinMemory(made) : made;
  const result = source.to({ dtype: options.dtype, device });
  if (source !== made) made.dispose();
  if (result !== source) source.dispose();
  if (options.requiresGrad) result.requiresGrad = true;
  return result;
}

type Factory = { dtype?: DType; device?: string };
const withDefaults = (options: TensorOptions): Factory => ({
  dtype: options.dtype ?? "float32",
  device: options.device ?? defaultDevice,
});
const leaf = (made: Tensor, options: TensorOptions): Tensor => {
  if (options.requiresGrad) made.requiresGrad = true;
  return made;
};

/** A tensor of zeros. */
export const zeros = (shape: readonly number[], options: TensorOptions = {}): Tensor =>
  leaf(ops.zeros(shape, withDefaults(options)), options);
/** A tensor of ones. */
export const ones = (shape: readonly number[], options: TensorOptions = {}): Tensor =>
  leaf(ops.ones(shape, withDefaults(options)), options);
/** A tensor of one value. */
export const full = (shape: readonly number[], value: number, options: TensorOptions = {}): Tensor =>
  leaf(ops.full(shape, value, withDefaults(options)), options);
/** A tensor of uninitialised memory. */
export const empty = (shape: readonly number[], options: TensorOptions = {}): Tensor =>
  leaf(ops.empty(shape, withDefaults(options)), options);
/** Uniform random numbers on [0, 1), from the default generator. */
export const rand = (shape: readonly number[], options: TensorOptions = {}): Tensor =>
  leaf(ops.rand(shape, withDefaults(options)), options);
/** Standard normal random numbers, from the default generator. */
export const randn = (shape: readonly number[], options: TensorOptions = {}): Tensor =>
  leaf(ops.randn(shape, withDefaults(options)), options);
/** Uniform random integers on [low, high), int64 unless `dtype` says otherwise. */
export const randint = (low: number, high: number, shape: readonly number[], options: TensorOptions = {}): Tensor =>
  ops.randint(low, high, shape, { dtype: options.dtype ?? "int64", device: options.device ?? defaultDevice });
/** A random permutation of 0…n−1 (int64). */
export const randperm = (n: number, options: TensorOptions = {}): Tensor =>
  ops.randperm(n, { dtype: options.dtype ?? "int64", device: options.device ?? defaultDevice });
/**
 * The numbers start, start + step, … below `end`, on one axis: `arange(4)` is 0 1 2 3. Start is 0 and step 1 by
 * default.
 *
 * @example
 * arange(2, 10, 3).toList(); // [2, 5, 8]
 */
export function arange(end: number, options?: TensorOptions): Tensor;
export function arange(start: number, end: number, step?: number, options?: TensorOptions): Tensor;
export function arange(a: number, b?: number | TensorOptions, step = 1, options: TensorOptions = {}): Tensor {
  if (typeof b === "number") return ops.arange(a, b, { step, ...withDefaults(options) });
  return ops.arange(0, a, { step: 1, ...withDefaults(b ?? {}) });
}
/** `steps` equally spaced numbers from `start` to `end`, both included, on one axis. */
export const linspace = (start: number, end: number, steps: number, options: TensorOptions = {}): Tensor =>
  ops.linspace(start, end, steps, withDefaults(options));
