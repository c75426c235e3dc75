// The tensor: a handle on an at::Tensor, with its facts, its memory and its place in autograd. Methods that call
// operators are in tensor-methods.ts.
import { type DType, dtypes, type TensorData } from "./dtype.js";
import { fromAddon } from "./errors.js";
import { native } from "./native.js";
import { defineOwned, disown, own, replaceHandle, scope, takeHandle } from "./scope.js";

/**
 * A tensor of libtorch. It lives until its {@link scope} ends, until `dispose()`, or until it is garbage. Methods are
 * called as the operators are in PyTorch; one that ends in an underscore writes into the tensor itself. The factories
 * ({@link tensor}, `zeros`, …) make tensors.
 *
 * @example
 * const x = tensor([1, 2, 3], { requiresGrad: true });
 * x.mul(x).sum().backward();
 * x.grad?.toList(); // [2, 4, 6]
 */
export class Tensor {
  /** Index in the addon's table; negative once disposed. */
  handle: number;
  /** Tells a scope that ends which tensors leave it. */
  mark = 0;
  #shape: number[] | undefined;
  #dtype: DType | undefined;

  /** @internal */
  constructor(handle: number) {
    this.handle = handle;
    own(this);
  }

  /** The sizes of its axes. */
  get shape(): number[] {
    return (this.#shape ??= native.shape(this.handle));
  }
  get dtype(): DType {
    return (this.#dtype ??= native.dtype(this.handle));
  }
  /** The number of its axes. */
  get ndim(): number {
    return this.shape.length;
  }
  /** The number of its elements. */
  get numel(): number {
    return this.shape.reduce((product, size) => product * size, 1);
  }
  /** Bytes of the elements when they are stored contiguously. */
  get nbytes(): number {
    return this.numel * dtypes[this.dtype].bytes;
  }
  /** Such as `cpu` or `cuda:0`. */
  get device(): string {
    return native.device(this.handle);
  }
  /** Elements between neighbours, for each axis. */
  get strides(): number[] {
    return native.strides(this.handle);
  }
  /** Whether the elements lie in row-major order without gaps. */
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

  /** Whether autograd records what is computed from it. */
  get requiresGrad(): boolean {
    return native.requiresGrad(this.handle);
  }
  set requiresGrad(value: boolean) {
    native.setRequiresGrad(this.handle, value);
  }
  /** Whether it was made by no recorded operator, so that its gradient is kept. */
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
  /**
   * Adds the gradient of this tensor to `grad` of every leaf that it was computed from.
   * @param gradient of this tensor's shape; needed unless this is a scalar
   * @param options `retainGraph` allows another backward; `createGraph` records this one
   * @throws OperatorError with libtorch's text; an error that a hook throws passes unchanged
   */
  backward(gradient: Tensor | null = null, options: { retainGraph?: boolean; createGraph?: boolean } = {}): void {
    const keepGraph = options.retainGraph ?? options.createGraph ?? false;
    try {
      native.backward(
        [this.handle],
        gradient === null ? null : [gradient.handle],
        keepGraph,
        options.createGraph ?? false,
      );
    } catch (error) {
      throw fromAddon(error);
    }
  }
  /**
   * Calls `hook` with this tensor's gradient during backward. A tensor that it returns replaces the gradient. Backward
   * throws a TypeError where it returns anything else but undefined.
   * @returns a function that removes the hook
   */
  registerHook(hook: (gradient: Tensor) => Tensor | undefined | void): () => void {
    const id = native.registerHook(this.handle, (handle) => {
      const result = scope(() => hook(new Tensor(handle)));
      if (result instanceof Tensor || result === undefined) return result?.handle;
      throw new TypeError(`Expected a tensor or undefined from a hook but received ${received(result)}`);
    });
    return () => native.removeHook(id);
  }

  // --- memory ---

  /** Releases the memory now; it is free once nothing else, such as the graph, holds it. */
  dispose(): void {
    disown(this);
  }
  [Symbol.dispose](): void {
    disown(this);
  }

  /**
   * Takes over the memory of `other`, which is disposed of: this object stays, its elements change. Gradients are
   * dropped.
   */
  become(other: Tensor): void {
    const handle = takeHandle(other);
    replaceHandle(this, handle);
    this.#shape = undefined;
    this.#dtype = undefined;
  }

  // --- to and from JavaScript ---

  /** The value of a tensor of one element. */
  item(): number {
    return native.item(this.handle);
  }
  /** The elements in row-major order as they are stored: float16 and bfloat16 as their 16-bit patterns. */
  toBits(): TensorData {
    const data = new dtypes[this.dtype].array(this.numel);
    native.copyBytes(this.handle, data, false);
    return data;
  }
  /** Overwrites the elements with `data`, which is in row-major order and of this tensor's own dtype. */
  copyFrom(data: NodeJS.TypedArray): this {
    native.copyBytes(this.handle, data, true);
    return this;
  }
  /** Such as `Tensor(float32[2,3])`. */
  toString(): string {
    return this.isDisposed
      ? "Tensor(disposed)"
      : `Tensor(${this.dtype}[${this.shape.join(",")}]${this.device === "cpu" ? "" : `@${this.device}`})`;
  }
}

/** A value with its type, for a message. */
export const received = (value: unknown): string =>
  `${typeof value === "object" ? Object.prototype.toString.call(value) : String(value)} of type ${typeof value}`;

defineOwned((value): value is Tensor => value instanceof Tensor);
