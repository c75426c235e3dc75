// What is made of master weights once and used until they change: half copies, or the form that a product reads.
import { type DType, keep, type Tensor } from "@rfdetr/torch";

interface Made {
  tensor: Tensor;
  handle: number;
  version: number;
}

export class WeightCache {
  readonly #made = new Map<Tensor, Made>();

  /**
   * What was made of this state of a weight, in this dtype; null where there is nothing. What was made of an earlier
   * state is freed.
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

  /** The same, made now where there is nothing; it lives until the weight changes or {@link WeightCache.clear}. */
  get(master: Tensor, dtype: DType, make: () => Tensor): Tensor {
    const found = this.found(master, dtype);
    if (found !== null) return found;
    const { version, handle } = master;
    const tensor = keep(make());
    this.#made.set(master, { tensor, handle, version });
    return tensor;
  }

  get bytes(): number {
    let bytes = 0;
    for (const { tensor } of this.#made.values()) bytes += tensor.nbytes;
    return bytes;
  }

  clear(): void {
    for (const { tensor } of this.#made.values()) tensor.dispose();
    this.#made.clear();
  }
}
