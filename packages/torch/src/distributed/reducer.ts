// Gradients are summed over the ranks while backward runs.
import { native } from "../native.js";
import type { Tensor } from "../tensor.js";
import { groupFailure, isBroken } from "./error.js";
import type { ProcessGroup } from "./group.js";

/** Settings of a {@link Reducer}. */
export interface ReducerOptions {
  /** Bytes of gradients that travel together; default 25 MiB, the first 1 MiB, as DistributedDataParallel has it. */
  bucketBytes?: number;
  /**
   * `bfloat16`: gradients travel rounded to it, in half of the bytes; they are added up in float32. Default: they
   * travel as they are.
   */
  compress?: "bfloat16" | null;
}

/** What the last reduction took. */
export interface ReductionTimes {
  /** Bytes of this rank's gradients as they travelled. */
  bytes: number;
  /** L2 norm of this rank's own gradients, before the sum. */
  localNorm: number;
  /** Seconds of backward after which the first and the last bucket was complete. */
  firstBucketSeconds: number;
  lastBucketSeconds: number;
  /** Seconds from there until all sums were back: the part that backward does not hide. */
  waitSeconds: number;
}

/**
 * Sums gradients over the ranks of a group while backward runs: c10d's Reducer, which DistributedDataParallel uses
 * (Li et al. 2020, arXiv:2006.15704), with sums in place of means.
 *
 * Each bucket is cut into as many parts as there are ranks; each rank adds up one part in the order of ranks, and hands
 * the sum to all. So the bits of a sum depend neither on the buckets nor on the network, and equal those of one process
 * that accumulates the gradients one after the other. As many bytes travel as in a ring. On a GPU the sums are NCCL's
 * own.
 *
 * A backward of the loss itself only accumulates. Parameters that the loss of no rank reaches keep no
 * gradient.
 * @example
 * import { distributed } from "@rfdetr/torch";
 * const reducer = new distributed.Reducer(group, model.namedParameters());
 * const loss = criterion.compute(model.call(images), targets, { training: true }).total;
 * reducer.backward(loss); // every parameter has the sum of all ranks now
 * console.log(reducer.last().waitSeconds);
 */
export class Reducer {
  readonly #group: ProcessGroup;
  readonly #id: number;

  /** @throws DistributedError when the ranks have other parameters */
  constructor(
    group: ProcessGroup,
    parameters: Iterable<readonly [name: string, parameter: Tensor]>,
    { bucketBytes = 25 << 20, compress = null }: ReducerOptions = {},
  ) {
    const trained = [...parameters].filter(([, parameter]) => parameter.requiresGrad);
    group.agree("model", trained.map(([name, { dtype, shape }]) => `${name} ${dtype}[${shape.join(",")}]`).join(", "));
    this.#group = group;
    this.#id = native.makeReducer(
      trained.map(([, parameter]) => parameter.handle),
      trained.map(([name]) => name),
      bucketBytes,
      compress === "bfloat16",
    );
  }

  /**
   * Backward of a loss, after which every parameter has the sum of the gradients of all ranks, with those that were
   * accumulated before. All ranks must call it.
   * @throws DistributedError when a rank is gone or does not answer; OperatorError with libtorch's text
   */
  backward(loss: Tensor): void {
    try {
      native.prepareReducer(this.#id, loss.handle);
      loss.backward();
    } catch (error) {
      throw isBroken(error) ? groupFailure("sum the gradients", this.#group.rank, error) : error;
    }
  }

  /** What the last reduction took. */
  last(): ReductionTimes {
    const [bytes, localNorm, firstBucketSeconds, lastBucketSeconds, waitSeconds] = native.lastReduction(this.#id);
    return { bytes, localNorm, firstBucketSeconds, lastBucketSeconds, waitSeconds };
  }

  /** Takes its hooks off the parameters. */
  dispose(): void {
    native.freeReducer(this.#id);
  }
}
