// The casts that autocast makes: weights once for many uses, an input once for neighbouring layers that read it, the
// rest at each use.
import { type DType, isGradEnabled, keep, nn, ops, Tensor } from "@rfdetr/torch";
import { WeightCache } from "./weight-cache.js";

const isFloating = (dtype: DType): boolean => dtype === "float32" || dtype === "bfloat16" || dtype === "float16";

/** What the input of a linear layer was lowered to a moment ago. */
interface Lowered {
  source: Tensor;
  handle: number;
  version: number;
  recorded: boolean;
  result: Tensor;
}

export class Casts {
  /**
   * Copies of weights with and without a way back to the master, and weights of linear layers as their products read
   * them.
   */
  readonly #weights = { grad: new WeightCache(), noGrad: new WeightCache(), packed: new WeightCache() };
  /**
   * Queries, keys and values read one tensor, and so do the heads: they share its cast, which backward then keeps once.
   */
  #last: Lowered | null = null;
  #casting = false;

  /** True while a cast is being made: its operators pass the door uncast. */
  get casting(): boolean {
    return this.#casting;
  }

  /** Bytes of the copies of weights. */
  get bytes(): number {
    return Object.values(this.#weights).reduce((sum, cache) => sum + cache.bytes, 0);
  }

  clear(): void {
    for (const cache of Object.values(this.#weights)) cache.clear();
    this.forget();
  }

  /** Frees the cast of the last input. */
  forget(): void {
    this.#last?.result.dispose();
    this.#last = null;
  }

  /** Runs `body` with its operators left as they are. */
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
   * Every floating tensor among the arguments in `dtype`, float64 aside; the arguments themselves where nothing
   * changes.
   */
  all(args: unknown[], dtype: DType): unknown[] {
    let changed: unknown[] | null = null;
    for (let i = 0; i < args.length; i++) {
      const value = args[i];
      let cast: unknown = value;
      if (value instanceof Tensor) cast = this.one(value, dtype);
      else if (Array.isArray(value) && value.length > 0 && typeof value[0] === "object")
        cast = this.#list(value, dtype);
      if (cast === value) continue;
      changed ??= args.slice();
      changed[i] = cast;
    }
    return changed ?? args;
  }

  #list(list: unknown[], dtype: DType): unknown[] {
    let changed: unknown[] | null = null;
    for (let i = 0; i < list.length; i++) {
      const value = list[i];
      if (!(value instanceof Tensor)) continue;
      const cast = this.one(value, dtype);
      if (cast === value) continue;
      changed ??= list.slice();
      changed[i] = cast;
    }
    return changed ?? list;
  }

  /** A tensor in `dtype`, unless it is no floating one or float64. */
  one(value: Tensor, dtype: DType): Tensor {
    const own = value.dtype;
    if (own === dtype || !isFloating(own)) return value;
    return value instanceof nn.Parameter ? this.#weight(value, dtype) : this.convert(value, dtype);
  }

  /** A cast of its own, shared with nobody. */
  convert(value: Tensor, dtype: DType): Tensor {
    return this.uncast(() => ops._toCopy(value, { dtype }));
  }

  /** A linear layer's weight as the product without autograd reads it, packed once. */
  packed(weight: nn.Parameter): Tensor {
    return this.#weights.packed.get(weight, "int32", () => this.uncast(() => ops.packLinear(weight)));
  }

  /**
   * All floating tensors in the widest dtype among them; float16 beside bfloat16 makes float32, since neither holds the
   * other.
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
   * The copy of a master weight, made once while the weight stays as it is. A copy made for autograd serves without it
   * too.
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
   * The input of a linear layer in a lower precision: the cast of a moment ago where that was of the same tensor,
   * unchanged, under the same autograd mode. It is freed with the next one, so it must not be kept.
   */
  input(source: Tensor, dtype: DType): Tensor {
    if (source.dtype !== "float32" || source instanceof nn.Parameter) return this.one(source, dtype);
    const { handle, version } = source;
    const recorded = isGradEnabled();
    const last = this.#last;
    const same = last?.source === source && last.handle === handle && last.version === version;
    if (same && last.recorded === recorded && last.result.dtype === dtype) return last.result;
    this.forget();
    // Kept, because the scope of one layer ends before the next layer reads the same tensor.
    const result = keep(this.convert(source, dtype));
    this.#last = { source, handle, version, recorded, result };
    return result;
  }
}
