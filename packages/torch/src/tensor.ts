// The tensor: a handle on an at::Tensor, with its facts, its memory and its place in autograd. Methods that call operators: tensor-methods.ts.
import { type DType, dtypes, type TensorData } from "./dtype.js";
import { fromAddon } from "./errors.js";
import { native } from "./native.js";
import { defineOwned, disown, eachOwned, own, replaceHandle, scope, takeHandle } from "./scope.js";

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
    try {
      native.backward([this.handle], gradient === null ? null : [gradient.handle], keepGraph, options.createGraph ?? false);
    } catch (error) {
      throw fromAddon(error);
    }
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
  /** The elements as they are stored: half types as their 16-bit patterns. */
  toBits(): TensorData {
    const data = new dtypes[this.dtype].array(this.numel);
    native.copyBytes(this.handle, data, false);
    return data;
  }
  /** Overwrites the elements with `data`, in this tensor's own dtype. */
  copyFrom(data: NodeJS.TypedArray): this {
    native.copyBytes(this.handle, data, true);
    return this;
  }
  toString(): string {
    return this.isDisposed
      ? "Tensor(disposed)"
      : `Tensor(${this.dtype}[${this.shape.join(",")}]${this.device === "cpu" ? "" : `@${this.device}`})`;
  }
}

defineOwned((value): value is Tensor => value instanceof Tensor);

/** Calls `visit` for every tensor in a value: itself, or inside arrays, maps, sets and plain objects. */
export const eachTensor = eachOwned as (value: unknown, visit: (tensor: Tensor) => void) => void;
