// The methods of a tensor that call operators. They are added to the class here, so that tensor.ts and the operators do
// not import each other. Every entry of the package that hands out tensors imports this file.
import { type DType, isDType, type TensorData } from "./dtype.js";
import * as ops from "./ops.generated.js";
import { Tensor } from "./tensor.js";

/** A tensor, or a number that stands for one of any shape. */
export type Operand = Tensor | number;

/** What {@link tensor} takes and `toList` gives: a number for no axis, an array for each axis more. */
export type NestedNumbers = number | NestedNumbers[];

class TensorMethods {
  // --- to JavaScript ---

  /** The elements in row-major order: float16 and bfloat16 as Float32Array, bool as Uint8Array. */
  toArray(this: Tensor): TensorData {
    if (this.dtype === "float16" || this.dtype === "bfloat16") {
      const wide = ops._toCopy(this, { dtype: "float32" });
      const data = wide.toArray();
      wide.dispose();
      return data;
    }
    return this.toBits();
  }
  /** The elements as nested arrays of numbers, as Python's `tolist()` gives them. */
  toList(this: Tensor): NestedNumbers {
    const data = this.toArray();
    const shape = this.shape;
    let at = 0;
    const build = (axis: number): NestedNumbers => {
      const length = shape[axis];
      return length === undefined ? Number(data[at++]) : Array.from({ length }, () => build(axis + 1));
    };
    return build(0);
  }

  // --- dtype and device ---

  /** Converts to a dtype or moves to a device; returns this tensor itself where nothing changes. */
  to(this: Tensor, target: DType | (string & {}) | { dtype?: DType; device?: string }): Tensor {
    const named = typeof target === "string" ? (isDType(target) ? { dtype: target } : { device: target }) : target;
    const { dtype, device }: { dtype?: DType; device?: string } = named;
    if ((dtype === undefined || dtype === this.dtype) && (device === undefined || device === this.device)) return this;
    // A copy from the CPU need not wait for what the GPU has to do before it: CUDA has taken the bytes when it returns.
    const nonBlocking = device?.startsWith("cuda") === true && this.device === "cpu";
    return ops._toCopy(this, { dtype, device, nonBlocking });
  }
  float(this: Tensor): Tensor {
    return this.to("float32");
  }
  double(this: Tensor): Tensor {
    return this.to("float64");
  }
  detach(this: Tensor): Tensor {
    return ops.detach(this);
  }
  clone(this: Tensor): Tensor {
    return ops.clone(this);
  }
  contiguous(this: Tensor): Tensor {
    return ops.contiguous(this);
  }

  // --- arithmetic ---

  add(this: Tensor, other: Operand): Tensor {
    return ops.add(this, other as Tensor);
  }
  sub(this: Tensor, other: Operand): Tensor {
    return ops.sub(this, other as Tensor);
  }
  mul(this: Tensor, other: Operand): Tensor {
    return ops.mul(this, other as Tensor);
  }
  div(this: Tensor, other: Operand): Tensor {
    return ops.div(this, other as Tensor);
  }
  pow(this: Tensor, exponent: Operand): Tensor {
    return ops.pow(this, exponent as Tensor);
  }
  add_(this: Tensor, other: Operand): Tensor {
    return ops.add_(this, other as Tensor);
  }
  sub_(this: Tensor, other: Operand): Tensor {
    return ops.sub_(this, other as Tensor);
  }
  mul_(this: Tensor, other: Operand): Tensor {
    return ops.mul_(this, other as Tensor);
  }
  div_(this: Tensor, other: Operand): Tensor {
    return ops.div_(this, other as Tensor);
  }
  neg(this: Tensor): Tensor {
    return ops.neg(this);
  }
  abs(this: Tensor): Tensor {
    return ops.abs(this);
  }
  exp(this: Tensor): Tensor {
    return ops.exp(this);
  }
  log(this: Tensor): Tensor {
    return ops.log(this);
  }
  sqrt(this: Tensor): Tensor {
    return ops.sqrt(this);
  }
  sin(this: Tensor): Tensor {
    return ops.sin(this);
  }
  cos(this: Tensor): Tensor {
    return ops.cos(this);
  }
  sigmoid(this: Tensor): Tensor {
    return ops.sigmoid(this);
  }
  relu(this: Tensor): Tensor {
    return ops.relu(this);
  }
  floor(this: Tensor): Tensor {
    return ops.floor(this);
  }
  clamp(this: Tensor, bounds: { min?: number; max?: number }): Tensor {
    return ops.clamp(this, bounds);
  }
  maximum(this: Tensor, other: Tensor): Tensor {
    return ops.maximum(this, other);
  }
  minimum(this: Tensor, other: Tensor): Tensor {
    return ops.minimum(this, other);
  }
  matmul(this: Tensor, other: Tensor): Tensor {
    return ops.matmul(this, other);
  }
  softmax(this: Tensor, dim: number): Tensor {
    return ops.softmax(this, dim);
  }

  // --- comparison ---

  eq(this: Tensor, other: Operand): Tensor {
    return ops.eq(this, other as Tensor);
  }
  ne(this: Tensor, other: Operand): Tensor {
    return ops.ne(this, other as Tensor);
  }
  lt(this: Tensor, other: Operand): Tensor {
    return ops.lt(this, other as Tensor);
  }
  le(this: Tensor, other: Operand): Tensor {
    return ops.le(this, other as Tensor);
  }
  gt(this: Tensor, other: Operand): Tensor {
    return ops.gt(this, other as Tensor);
  }
  ge(this: Tensor, other: Operand): Tensor {
    return ops.ge(this, other as Tensor);
  }
  isfinite(this: Tensor): Tensor {
    return ops.isfinite(this);
  }

  // --- reduction; without `dim` over all elements ---

  sum(this: Tensor, dim?: number | readonly number[], keepdim = false): Tensor {
    return dim === undefined ? ops.sum(this) : ops.sum(this, dim, { keepdim });
  }
  mean(this: Tensor, dim?: number | readonly number[], keepdim = false): Tensor {
    return dim === undefined ? ops.mean(this) : ops.mean(this, dim, { keepdim });
  }
  amax(this: Tensor, dim?: number | readonly number[], keepdim = false): Tensor {
    return ops.amax(this, { dim: dim ?? [], keepdim });
  }
  amin(this: Tensor, dim?: number | readonly number[], keepdim = false): Tensor {
    return ops.amin(this, { dim: dim ?? [], keepdim });
  }
  /** The largest element. With `dim`: the largest values along it, and where they are. */
  max(this: Tensor): Tensor;
  max(this: Tensor, dim: number, keepdim?: boolean): [values: Tensor, indices: Tensor];
  max(this: Tensor, dim?: number, keepdim = false): Tensor | [Tensor, Tensor] {
    return dim === undefined ? ops.max(this) : ops.max(this, dim, { keepdim });
  }
  min(this: Tensor): Tensor;
  min(this: Tensor, dim: number, keepdim?: boolean): [values: Tensor, indices: Tensor];
  min(this: Tensor, dim?: number, keepdim = false): Tensor | [Tensor, Tensor] {
    return dim === undefined ? ops.min(this) : ops.min(this, dim, { keepdim });
  }
  argmax(this: Tensor, dim?: number, keepdim = false): Tensor {
    return ops.argmax(this, { dim, keepdim });
  }
  any(this: Tensor, dim?: number, keepdim = false): Tensor {
    return dim === undefined ? ops.any(this) : ops.any(this, dim, { keepdim });
  }
  all(this: Tensor, dim?: number, keepdim = false): Tensor {
    return dim === undefined ? ops.all(this) : ops.all(this, dim, { keepdim });
  }
  std(this: Tensor, dim?: number | readonly number[], correction = 1, keepdim = false): Tensor {
    return ops.std(this, { dim: dim ?? null, correction, keepdim });
  }
  norm(this: Tensor): Tensor {
    return ops.norm(this);
  }
  topk(this: Tensor, k: number, dim = -1, largest = true, sorted = true): [values: Tensor, indices: Tensor] {
    return ops.topk(this, k, { dim, largest, sorted });
  }
  sort(this: Tensor, dim = -1, descending = false): [values: Tensor, indices: Tensor] {
    return ops.sort(this, { dim, descending });
  }

  // --- shape ---

  view(this: Tensor, ...shape: number[] | [readonly number[]]): Tensor {
    return ops.view(this, flat(shape));
  }
  reshape(this: Tensor, ...shape: number[] | [readonly number[]]): Tensor {
    return ops.reshape(this, flat(shape));
  }
  permute(this: Tensor, ...dims: number[] | [readonly number[]]): Tensor {
    return ops.permute(this, flat(dims));
  }
  expand(this: Tensor, ...shape: number[] | [readonly number[]]): Tensor {
    return ops.expand(this, flat(shape));
  }
  repeat(this: Tensor, ...repeats: number[] | [readonly number[]]): Tensor {
    return ops.repeat(this, flat(repeats));
  }
  transpose(this: Tensor, a: number, b: number): Tensor {
    return ops.transpose(this, a, b);
  }
  t(this: Tensor): Tensor {
    return ops.t(this);
  }
  unsqueeze(this: Tensor, dim: number): Tensor {
    return ops.unsqueeze(this, dim);
  }
  squeeze(this: Tensor, dim?: number): Tensor {
    return dim === undefined ? ops.squeeze(this) : ops.squeeze(this, dim);
  }
  flatten(this: Tensor, startDim = 0, endDim = -1): Tensor {
    return ops.flatten(this, { startDim, endDim });
  }
  unflatten(this: Tensor, dim: number, sizes: readonly number[]): Tensor {
    return ops.unflatten(this, dim, sizes);
  }
  chunk(this: Tensor, chunks: number, dim = 0): Tensor[] {
    return ops.chunk(this, chunks, { dim });
  }
  split(this: Tensor, size: number | readonly number[], dim = 0): Tensor[] {
    return typeof size === "number" ? ops.split(this, size, { dim }) : ops.splitWithSizes(this, size, { dim });
  }
  unbind(this: Tensor, dim = 0): Tensor[] {
    return ops.unbind(this, { dim });
  }

  // --- indexing ---

  select(this: Tensor, dim: number, index: number): Tensor {
    return ops.select(this, dim, index);
  }
  narrow(this: Tensor, dim: number, start: number, length: number): Tensor {
    return ops.narrow(this, dim, start, length);
  }
  slice(this: Tensor, dim: number, start?: number, end?: number, step = 1): Tensor {
    return ops.slice(this, { dim, start, end, step });
  }
  indexSelect(this: Tensor, dim: number, index: Tensor): Tensor {
    return ops.indexSelect(this, dim, index);
  }
  gather(this: Tensor, dim: number, index: Tensor): Tensor {
    return ops.gather(this, dim, index);
  }
  /** Advanced indexing: `x.index([rows, null, columns])` is Python's `x[rows, :, columns]`. */
  index(this: Tensor, indices: readonly (Tensor | null)[]): Tensor {
    return ops.index(this, indices);
  }

  // --- in place ---

  copy_(this: Tensor, source: Tensor): Tensor {
    return ops.copy_(this, source);
  }
  fill_(this: Tensor, value: number): Tensor {
    return ops.fill_(this, value);
  }
  zero_(this: Tensor): Tensor {
    return ops.zero_(this);
  }
}

function flat(list: readonly (number | readonly number[])[]): readonly number[] {
  return Array.isArray(list[0]) ? (list[0] as number[]) : (list as readonly number[]);
}

declare module "./tensor.js" {
  interface Tensor extends TensorMethods {}
}

const { constructor: _, ...methods } = Object.getOwnPropertyDescriptors(TensorMethods.prototype);
Object.defineProperties(Tensor.prototype, methods);
