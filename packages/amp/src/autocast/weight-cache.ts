// A cache of what is made from master weights: low-precision copies, or packed weights.
import { type DType, keep, type Tensor } from "@rfdetr/torch";

/** A result, and the state of the weight that it was made from. */
interface Made {
  tensor: Tensor;
  handle: number;
  version: number;
}

/** Results by master weight. Each is valid until its weight changes. */
export class WeightCache {
  readonly #made = new Map<Tensor, Made>();

  /**
   * The result for the present state of a weight, in `dtype`; null where there is none. A result for an earlier state
   * is freed.
   */
  found(master: Tensor, dtype: DType): Tensor | null {
    const made = this.#made.get(master);
    if (made === undefined) return null;
    const { tensor, handle, version } = made;
    if (version === master.version && handle === master.handle && tensor.dtype === dtype && !tensor.isDisposed)
      return tensor;
    tensor.dispose();
    this.#made.delete(master);
    return null;
  }

  /**
   * The result for the present state of a weight, in `dtype`. `make` is called where there is none. The result lives
   * until the weight changes or until {@link WeightCache.clear}.
   */
  get(master: Tensor, dtype: DType, make: () => Tensor): Tensor {
    const found = this.found(master, dtype);
    if (found !== null) return found;
    const { version, handle } = master;
    const tensor = keep(make());
    this.#made.set(master, { tensor, handle, version });
    return tensor;
  }

  /** Bytes of all results. */
  get bytes(): number {
    let bytes = 0;
    for (const { tensor } of this.#made.values()) bytes += tensor.nbytes;
    return bytes;
  }

  /** Frees all results. */
  clear(): void {
    for (const { tensor } of this.#made.values()) tensor.dispose();
    this.#made.clear();
  }
}
