// The casts that autocast makes. A weight is cast once and reused. The input of a linear layer is cast once for the
// neighbouring layers that read it. Other tensors are cast at each use.
import { type DType, isGradEnabled, keep, nn, ops, Tensor } from "@rfdetr/torch";
import { WeightCache } from "./weight-cache.js";

const isFloating = (dtype: DType): boolean => dtype === "float32" || dtype === "bfloat16" || dtype === "float16";

/** The last input of a linear layer, with its state at that time, and its cast. */
interface Lowered {
  source: Tensor;
  handle: number;
  version: number;
  /** Whether autograd recorded the cast. */
  recorded: boolean;
  result: Tensor;
}

/** Makes, reuses and frees the casts of one autocast. */
export class CastCache {
  /**
   * Copies of weights that autograd recorded, copies that it did not, and weights packed for products without autograd.
   */
  readonly #weights = { grad: new WeightCache(), noGrad: new WeightCache(), packed: new WeightCache() };
  /**
   * The cast of the last input. Queries, keys and values read one tensor, and so do the heads. They share one cast,
   * which backward then keeps once.
   */
  #last: Lowered | null = null;
  /** Casts that came with their tensors, by those. Backward keeps them, so they cost nothing until the run ends. */
  readonly #given = new Map<Tensor, Lowered>();
  #casting = false;

  /** True while a cast is being made: autocast leaves its operators alone. */
  get casting(): boolean {
    return this.#casting;
  }

  /** Bytes of the copies of weights. */
  get bytes(): number {
    return Object.values(this.#weights).reduce((sum, cache) => sum + cache.bytes, 0);
  }

  /** Frees the copies of weights and the cast of the last input. */
  clear(): void {
    for (const cache of Object.values(this.#weights)) cache.clear();
    this.forget();
  }

  /** Frees the casts of inputs. */
  forget(): void {
    this.#forgetLast();
    for (const { result } of this.#given.values()) result.dispose();
    this.#given.clear();
  }

  #forgetLast(): void {
    this.#last?.result.dispose();
    this.#last = null;
  }

  /** Takes a cast that was made with `source` for the layers that will read it, and frees it when it is not needed. */
  take(source: Tensor, result: Tensor): void {
    const recorded = isGradEnabled() && source.requiresGrad;
    const { handle, version } = source;
    const lowered = { source, handle, version, recorded, result: keep(result) };
    if (recorded) this.#given.set(source, lowered);
    else {
      this.#forgetLast();
      this.#last = lowered;
    }
  }

  /** Runs `body` without casting the arguments of its operators, and returns its result. */
  uncast<T>(body: () => T): T {
    const before = this.#casting;
    this.#casting = true;
    try {
      return body();
    } finally {
      this.#casting = before;
    }
  }

  /**
   * The arguments with every float32, float16 and bfloat16 tensor in `dtype`, those in lists included. Returns `args`
   * itself where nothing changes.
   */
  all(args: unknown[], dtype: DType): unknown[] {
    let changed: unknown[] | null = null;
    for (let i = 0; i < args.length; i++) {
      const value = args[i];
      let cast: unknown = value;
      if (value instanceof Tensor) cast = this.one(value, dtype);
      else if (Array.isArray(value) && value.length > 0 && typeof value[0] === "object") cast = this.all(value, dtype);
      if (cast === value) continue;
      changed ??= args.slice();
      changed[i] = cast;
    }
    return changed ?? args;
  }

  /** The tensor in `dtype`. A float64 tensor, or one that is not floating-point, is returned as it is. */
  one(value: Tensor, dtype: DType): Tensor {
    const own = value.dtype;
    if (own === dtype || !isFloating(own)) return value;
    return value instanceof nn.Parameter ? this.#weight(value, dtype) : this.convert(value, dtype);
  }

  /** A new cast of the tensor, neither cached nor shared. */
  convert(value: Tensor, dtype: DType): Tensor {
    return this.uncast(() => ops._toCopy(value, { dtype }));
  }

  /** A linear layer's weight in the packed form that the product without autograd reads. It is packed once. */
  packed(weight: nn.Parameter, dtype: DType): Tensor {
    return this.#weights.packed.get(weight, "int32", () => this.uncast(() => ops.packLinear(weight, dtype)));
  }

  /**
   * The arguments with all floating-point tensors in the widest dtype among them. Float16 beside bfloat16 gives
   * float32, because neither holds all values of the other.
   */
  widest(args: unknown[]): unknown[] {
    let wide = false;
    let low: DType | null = null;
    const look = (value: unknown): void => {
      if (!(value instanceof Tensor)) return;
      const own = value.dtype;
      if (own === "float32" || (low !== null && low !== own && isFloating(own))) wide = true;
      else if (isFloating(own)) low = own;
    };
    for (const value of args)
      if (Array.isArray(value)) for (const element of value) look(element);
      else look(value);
    return low !== null && wide ? this.all(args, "float32") : args;
  }

  /**
   * The copy of a master weight, made once until the weight changes. A copy that autograd recorded also serves without
   * autograd.
   */
  #weight(master: nn.Parameter, dtype: DType): Tensor {
    const recorded = isGradEnabled() && master.requiresGrad;
    const { grad, noGrad } = this.#weights;
    const convert = (): Tensor => this.convert(master, dtype);
    return recorded
      ? grad.get(master, dtype, convert)
      : (grad.found(master, dtype) ?? noGrad.get(master, dtype, convert));
  }

  /**
   * The input of a linear layer in low precision. It reuses the last cast if that was of the same tensor, unchanged,
   * under the same autograd mode. The next input frees the cast, so it must not be kept.
   */
  input(source: Tensor, dtype: DType): Tensor {
    if (source.dtype !== "float32" || source instanceof nn.Parameter) return this.one(source, dtype);
    const { handle, version } = source;
    const recorded = isGradEnabled() && source.requiresGrad;
    for (const last of [this.#last, this.#given.get(source)]) {
      const same = last?.source === source && last.handle === handle && last.version === version;
      if (same && last.recorded === recorded && last.result.dtype === dtype) return last.result;
    }
    this.#forgetLast();
    // The scope of one layer ends before the next layer reads the same tensor.
    const result = keep(this.convert(source, dtype));
    this.#last = { source, handle, version, recorded, result };
    return result;
  }
}
