// The tensor: a handle on an at::Tensor, with the everyday methods. All arithmetic goes through the operators.
import { type DType, dtypes, isDType, type TensorData } from "./dtype.js";
import { native } from "./native.js";
import * as ops from "./ops.generated.js";
import { defineOwned, disown, eachOwned, own, replaceHandle, scope, takeHandle } from "./scope.js";

/** A tensor or a number, as the right-hand side of arithmetic. */
export type Operand = Tensor | number;

export type NestedNumbers = number | NestedNumbers[];

/**
 * A tensor of libtorch. Shapes are arrays of sizes, devices strings such as `cpu` or `cuda:0`.
 * Lives until its scope ends, `dispose()` is called, or it is garbage; see `scope`.
 * Methods follow the operators of the same name; one ending in an underscore writes into the tensor itself.
 */
export class Tensor {
  /** Index in the addon's table; negative once disposed. */
  handle: number;
  /** Used by scopes to tell what leaves them. */
  mark = 0;
  #shape: number[] | undefined;
  #dtype: DType | undefined;

  constructor(handle: number) {
    this.handle = handle;
    own(this);
  }

  get shape(): number[] {
    return (this.#shape ??= native.shape(this.handle));
  }
  get dtype(): DType {
    return (this.#dtype ??= native.dtype(this.handle));
  }
  get ndim(): number {
    return this.shape.length;
  }
  get numel(): number {
    return this.shape.reduce((product, size) => product * size, 1);
  }
  /** Bytes of the elements, were they stored contiguously. */
  get nbytes(): number {
    return this.numel * dtypes[this.dtype].bytes;
  }
  get device(): string {
    return native.device(this.handle);
  }
  get strides(): number[] {
    return native.strides(this.handle);
  }
  get isContiguous(): boolean {
    return native.isContiguous(this.handle);
  }
  get isFloatingPoint(): boolean {
    return dtypes[this.dtype].floating;
  }
  /** Counts in-place changes, as autograd does. */
  get version(): number {
    return native.version(this.handle);
  }
  get isDisposed(): boolean {
    return this.handle < 0;
  }

  // --- autograd ---

  get requiresGrad(): boolean {
    return native.requiresGrad(this.handle);
  }
  set requiresGrad(value: boolean) {
    native.setRequiresGrad(this.handle, value);
  }
  get isLeaf(): boolean {
    return native.isLeaf(this.handle);
  }
  /** The accumulated gradient of a leaf, or null. Every read makes a new handle on the same tensor. */
  get grad(): Tensor | null {
    const handle = native.grad(this.handle);
    return handle === null ? null : new Tensor(handle);
  }
  set grad(value: Tensor | null) {
    native.setGrad(this.handle, value === null ? null : value.handle);
  }
  /** Adds the gradient of this tensor to every leaf it came from. `gradient` is needed unless this is a scalar. */
  backward(gradient: Tensor | null = null, options: { retainGraph?: boolean; createGraph?: boolean } = {}): void {
    const keepGraph = options.retainGraph ?? options.createGraph ?? false;
    native.backward([this.handle], gradient === null ? null : [gradient.handle], keepGraph, options.createGraph ?? false);
  }
  /** Calls `hook` with this tensor's gradient during backward; what it returns, if anything, takes the gradient's place. Returns a function that removes it. */
  registerHook(hook: (gradient: Tensor) => Tensor | undefined | void): () => void {
    const id = native.registerHook(this.handle, (handle) => scope(() => hook(new Tensor(handle)))?.handle);
    return () => native.removeHook(id);
  }

  // --- lifetime ---

  /** Frees the memory now (once nothing else, such as the graph, holds it). */
  dispose(): void {
    disown(this);
  }
  [Symbol.dispose](): void {
    disown(this);
  }

  /** Takes over what `other` holds (and empties it): this object stays, its tensor changes. Gradients are dropped. */
  become(other: Tensor): void {
    const handle = takeHandle(other);
    replaceHandle(this, handle);
    this.#shape = undefined;
    this.#dtype = undefined;
  }

  // --- data out ---

  /** The value of a tensor of one element. */
  item(): number {
    return native.item(this.handle);
  }
  /** The elements in row-major order; half types as Float32Array, bool as Uint8Array. Waits for the device. */
  toArray(): TensorData {
    if (this.dtype === "float16" || this.dtype === "bfloat16") {
      const wide = ops._toCopy(this, { dtype: "float32" });
      const data = wide.toArray();
      wide.dispose();
      return data;
    }
    return this.toBits();
  }
  /** The elements as they are stored: half types as their 16-bit patterns. */
  toBits(): TensorData {
    const data = new dtypes[this.dtype].array(this.numel);
    native.copyBytes(this.handle, data, false);
    return data;
  }
  /** Copies the elements into `data`, whose byte length must fit. */
  copyInto(data: NodeJS.TypedArray): void {
    native.copyBytes(this.handle, data, false);
  }
  /** Overwrites the elements with `data`, in this tensor's own dtype. */
  copyFrom(data: NodeJS.TypedArray): this {
    native.copyBytes(this.handle, data, true);
    return this;
  }
  /** Nested arrays of numbers, as in Python's `tolist()`. */
  toList(): NestedNumbers {
    const data = this.toArray();
    const shape = this.shape;
    let at = 0;
    const build = (axis: number): NestedNumbers => {
      if (axis === shape.length) return Number(data[at++]);
      return Array.from({ length: shape[axis] }, () => build(axis + 1));
    };
    return build(0);
  }
  toString(): string {
    return this.isDisposed
      ? "Tensor(disposed)"
      : `Tensor(${this.dtype}[${this.shape.join(",")}]${this.device === "cpu" ? "" : `@${this.device}`})`;
  }

  // --- dtype and device ---

  /** Converts to a dtype or moves to a device; returns this tensor itself where nothing changes. */
  to(target: DType | (string & {}) | { dtype?: DType; device?: string }): Tensor {
    const { dtype, device } =
      typeof target === "string" ? (isDType(target) ? { dtype: target, device: undefined } : { dtype: undefined, device: target }) : target;
    if ((dtype === undefined || dtype === this.dtype) && (device === undefined || device === this.device)) return this;
    return ops._toCopy(this, { dtype, device });
  }
  float(): Tensor {
    return this.to("float32");
  }
  double(): Tensor {
    return this.to("float64");
  }
  detach(): Tensor {
    return ops.detach(this);
  }
  clone(): Tensor {
    return ops.clone(this);
  }
  contiguous(): Tensor {
    return ops.contiguous(this);
  }

  // --- arithmetic ---

  add(other: Operand): Tensor {
    return ops.add(this, other as Tensor);
  }
  sub(other: Operand): Tensor {
    return ops.sub(this, other as Tensor);
  }
  mul(other: Operand): Tensor {
    return ops.mul(this, other as Tensor);
  }
  div(other: Operand): Tensor {
    return ops.div(this, other as Tensor);
  }
  pow(exponent: Operand): Tensor {
    return ops.pow(this, exponent as Tensor);
  }
  add_(other: Operand): Tensor {
    return ops.add_(this, other as Tensor);
  }
  sub_(other: Operand): Tensor {
    return ops.sub_(this, other as Tensor);
  }
  mul_(other: Operand): Tensor {
    return ops.mul_(this, other as Tensor);
  }
  div_(other: Operand): Tensor {
    return ops.div_(this, other as Tensor);
  }
  neg(): Tensor {
    return ops.neg(this);
  }
  abs(): Tensor {
    return ops.abs(this);
  }
  exp(): Tensor {
    return ops.exp(this);
  }
  log(): Tensor {
    return ops.log(this);
  }
  sqrt(): Tensor {
    return ops.sqrt(this);
  }
  rsqrt(): Tensor {
    return ops.rsqrt(this);
  }
  sin(): Tensor {
    return ops.sin(this);
  }
  cos(): Tensor {
    return ops.cos(this);
  }
  tanh(): Tensor {
    return ops.tanh(this);
  }
  sigmoid(): Tensor {
    return ops.sigmoid(this);
  }
  relu(): Tensor {
    return ops.relu(this);
  }
  floor(): Tensor {
    return ops.floor(this);
  }
  round(): Tensor {
    return ops.round(this);
  }
  clamp(bounds: { min?: number; max?: number }): Tensor {
    return ops.clamp(this, bounds);
  }
  maximum(other: Tensor): Tensor {
    return ops.maximum(this, other);
  }
  minimum(other: Tensor): Tensor {
    return ops.minimum(this, other);
  }
  matmul(other: Tensor): Tensor {
    return ops.matmul(this, other);
  }
  bmm(other: Tensor): Tensor {
    return ops.bmm(this, other);
  }
  softmax(dim: number): Tensor {
    return ops.softmax(this, dim);
  }

  // --- comparison ---

  eq(other: Operand): Tensor {
    return ops.eq(this, other as Tensor);
  }
  ne(other: Operand): Tensor {
    return ops.ne(this, other as Tensor);
  }
  lt(other: Operand): Tensor {
    return ops.lt(this, other as Tensor);
  }
  le(other: Operand): Tensor {
    return ops.le(this, other as Tensor);
  }
  gt(other: Operand): Tensor {
    return ops.gt(this, other as Tensor);
  }
  ge(other: Operand): Tensor {
    return ops.ge(this, other as Tensor);
  }
  logicalAnd(other: Tensor): Tensor {
    return ops.logicalAnd(this, other);
  }
  logicalOr(other: Tensor): Tensor {
    return ops.logicalOr(this, other);
  }
  logicalNot(): Tensor {
    return ops.logicalNot(this);
  }
  isfinite(): Tensor {
    return ops.isfinite(this);
  }

  // --- reduction; without `dim` over all elements ---

  sum(dim?: number | readonly number[], keepdim = false): Tensor {
    return dim === undefined ? ops.sum(this) : ops.sum(this, dim, { keepdim });
  }
  mean(dim?: number | readonly number[], keepdim = false): Tensor {
    return dim === undefined ? ops.mean(this) : ops.mean(this, dim, { keepdim });
  }
  amax(dim?: number | readonly number[], keepdim = false): Tensor {
    return ops.amax(this, { dim: dim ?? [], keepdim });
  }
  amin(dim?: number | readonly number[], keepdim = false): Tensor {
    return ops.amin(this, { dim: dim ?? [], keepdim });
  }
  /** The largest element. With `dim`: the largest values along it, and where they are. */
  max(): Tensor;
  max(dim: number, keepdim?: boolean): [values: Tensor, indices: Tensor];
  max(dim?: number, keepdim = false): Tensor | [Tensor, Tensor] {
    return dim === undefined ? ops.max(this) : ops.max(this, dim, { keepdim });
  }
  min(): Tensor;
  min(dim: number, keepdim?: boolean): [values: Tensor, indices: Tensor];
  min(dim?: number, keepdim = false): Tensor | [Tensor, Tensor] {
    return dim === undefined ? ops.min(this) : ops.min(this, dim, { keepdim });
  }
  argmax(dim?: number, keepdim = false): Tensor {
    return ops.argmax(this, { dim, keepdim });
  }
  any(dim?: number, keepdim = false): Tensor {
    return dim === undefined ? ops.any(this) : ops.any(this, dim, { keepdim });
  }
  all(dim?: number, keepdim = false): Tensor {
    return dim === undefined ? ops.all(this) : ops.all(this, dim, { keepdim });
  }
  std(dim?: number | readonly number[], correction = 1, keepdim = false): Tensor {
    return ops.std(this, { dim: dim ?? null, correction, keepdim });
  }
  norm(): Tensor {
    return ops.norm(this);
  }
  cumsum(dim: number): Tensor {
    return ops.cumsum(this, dim);
  }
  topk(k: number, dim = -1, largest = true, sorted = true): [values: Tensor, indices: Tensor] {
    return ops.topk(this, k, { dim, largest, sorted });
  }
  sort(dim = -1, descending = false): [values: Tensor, indices: Tensor] {
    return ops.sort(this, { dim, descending });
  }
  argsort(dim = -1, descending = false): Tensor {
    return ops.argsort(this, { dim, descending });
  }

  // --- shape ---

  view(...shape: number[] | [readonly number[]]): Tensor {
    return ops.view(this, flat(shape));
  }
  reshape(...shape: number[] | [readonly number[]]): Tensor {
    return ops.reshape(this, flat(shape));
  }
  permute(...dims: number[] | [readonly number[]]): Tensor {
    return ops.permute(this, flat(dims));
  }
  expand(...shape: number[] | [readonly number[]]): Tensor {
    return ops.expand(this, flat(shape));
  }
  repeat(...repeats: number[] | [readonly number[]]): Tensor {
    return ops.repeat(this, flat(repeats));
  }
  transpose(a: number, b: number): Tensor {
    return ops.transpose(this, a, b);
  }
  t(): Tensor {
    return ops.t(this);
  }
  unsqueeze(dim: number): Tensor {
    return ops.unsqueeze(this, dim);
  }
  squeeze(dim?: number): Tensor {
    return dim === undefined ? ops.squeeze(this) : ops.squeeze(this, dim);
  }
  flatten(startDim = 0, endDim = -1): Tensor {
    return ops.flatten(this, { startDim, endDim });
  }
  unflatten(dim: number, sizes: readonly number[]): Tensor {
    return ops.unflatten(this, dim, sizes);
  }
  flip(...dims: number[] | [readonly number[]]): Tensor {
    return ops.flip(this, flat(dims));
  }
  roll(shifts: readonly number[], dims: readonly number[]): Tensor {
    return ops.roll(this, shifts, { dims });
  }
  chunk(chunks: number, dim = 0): Tensor[] {
    return ops.chunk(this, chunks, { dim });
  }
  split(size: number | readonly number[], dim = 0): Tensor[] {
    return typeof size === "number" ? ops.split(this, size, { dim }) : ops.splitWithSizes(this, size, { dim });
  }
  unbind(dim = 0): Tensor[] {
    return ops.unbind(this, { dim });
  }

  // --- indexing ---

  select(dim: number, index: number): Tensor {
    return ops.select(this, dim, index);
  }
  narrow(dim: number, start: number, length: number): Tensor {
    return ops.narrow(this, dim, start, length);
  }
  slice(dim: number, start?: number, end?: number, step = 1): Tensor {
    return ops.slice(this, { dim, start, end, step });
  }
  indexSelect(dim: number, index: Tensor): Tensor {
    return ops.indexSelect(this, dim, index);
  }
  gather(dim: number, index: Tensor): Tensor {
    return ops.gather(this, dim, index);
  }
  /** Advanced indexing: `x.index([rows, null, columns])` is Python's `x[rows, :, columns]`. */
  index(indices: readonly (Tensor | null)[]): Tensor {
    return ops.index(this, indices);
  }
  maskedFill(mask: Tensor, value: number): Tensor {
    return ops.maskedFill(this, mask, value);
  }

  // --- in place ---

  copy_(source: Tensor): Tensor {
    return ops.copy_(this, source);
  }
  fill_(value: number): Tensor {
    return ops.fill_(this, value);
  }
  zero_(): Tensor {
    return ops.zero_(this);
  }
}

function flat(list: readonly (number | readonly number[])[]): readonly number[] {
  return Array.isArray(list[0]) ? (list[0] as number[]) : (list as readonly number[]);
}

defineOwned((value): value is Tensor => value instanceof Tensor);

/** Calls `visit` for every tensor in a value: itself, or inside arrays, maps, sets and plain objects. */
export const eachTensor = eachOwned as (value: unknown, visit: (tensor: Tensor) => void) => void;
