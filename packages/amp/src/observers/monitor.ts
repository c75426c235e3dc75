// The monitor: on watched steps, records the range of every module's outputs and of their gradients.
import { keep, noGrad, ops, scope, type Tensor } from "@rfdetr/torch";
import { MonitorError } from "../errors.js";
import type { LargestValue, ModuleRecord, UpdateRecord } from "../numerics/module-record.js";
import { type OperatorEvent, observe, unobserved } from "../observe.js";
import { quietOperators } from "../policy/policy.js";
import { floatingTensors, placeName } from "../tensors.js";
import { addRange, compactExponents, largestOf, lostShares, rangeOf, type ValueRange } from "./range.js";

/** What was seen of one module: the dtypes of the values, their range, and the largest of them. */
interface Seen {
  dtypes: Set<string>;
  range: ValueRange;
  largest: LargestValue;
}

/** The images that a forward is of. */
export interface WatchedBatch {
  /** How many. They lie on the first axis of the tensors. */
  images: number;
  /** The place of the first of them among the images of the step. */
  first: number;
  /** How many rows in a row the first axis may have of each image; default 1. */
  stacks?: readonly number[];
}

/** What the monitor recorded in one step. */
export interface WatchedStep {
  /** The modules by the outputs of their operators. */
  forward: ModuleRecord[];
  /** The modules by the gradients that arrived at those outputs. The gradients include the loss scale. */
  gradient: ModuleRecord[];
  /** Bytes of the operators' outputs in the forward: `half` in float16 and bfloat16, `full` in float32 and float64. */
  written: { half: number; full: number };
  /** Seconds that recording took. */
  seconds: number;
}

/**
 * Records the ranges of values on the steps that it is told to watch. In a watched step it looks at the output of every
 * operator that computes; it skips views, copies and comparisons. It adds up what it sees by module, and registers a
 * hook on each output to see its gradient. Between watched steps it does nothing.
 * @example
 * import { Monitor } from "@rfdetr/amp";
 * const monitor = new Monitor();
 * monitor.begin();
 * lossOf(model.call(images)).backward();
 * for (const { path, amax } of monitor.end().gradient) console.log(path, amax);
 */
export class Monitor {
  /** Steps between watched ones; 0 watches none. It may change between two steps. */
  interval: number;
  #stop: (() => void) | null = null;
  #forward = new Map<string, Seen>();
  #gradient = new Map<string, Seen>();
  #hooks: (() => void)[] = [];
  #batch: WatchedBatch | null = null;
  #written = { half: 0, full: 0 };
  #seconds = 0;

  /**
   * @param options `interval` is the number of steps between watched ones, default 200
   * @throws MonitorError for an interval that is not a whole number of steps
   */
  constructor(options: { interval?: number } = {}) {
    this.interval = options.interval ?? 200;
    if (!Number.isInteger(this.interval) || this.interval < 0)
      throw new MonitorError(
        `Expected a whole number of steps for the monitor's interval but received ${this.interval} of type ${typeof this.interval}`,
      );
  }

  /**
   * Whether a step is to be watched: the first, and every `interval`-th.
   * @param step counted from 1
   */
  due(step: number): boolean {
    return this.interval > 0 && (step === 1 || step % this.interval === 0);
  }

  /** Starts to watch. Everything until {@link Monitor.end} belongs to one step. */
  begin(): void {
    this.end();
    this.#batch = null;
    this.#forward = new Map();
    this.#gradient = new Map();
    this.#written = { half: 0, full: 0 };
    this.#seconds = 0;
    this.#stop = observe(this.#look);
  }

  /** Tells of which images the values are that follow, so that the largest ones can be traced to theirs. */
  batch(batch: WatchedBatch): void {
    this.#batch = batch;
  }

  /** Stops watching, removes all hooks and returns what was recorded. */
  end(): WatchedStep {
    this.#stop?.();
    this.#stop = null;
    for (const remove of this.#hooks) remove();
    this.#hooks = [];
    return {
      forward: records(this.#forward),
      gradient: records(this.#gradient),
      written: this.#written,
      seconds: this.#seconds,
    };
  }

  readonly #look = (event: OperatorEvent): void => {
    if (event.by === "cast" || event.op.inPlace || quietOperators.has(event.op.base)) return;
    const start = performance.now();
    const place = placeName(event.module?.path ?? null);
    for (const output of floatingTensors(event.result)) {
      this.#add(this.#forward, place, output);
      this.#written[output.dtype === "float32" || output.dtype === "float64" ? "full" : "half"] += output.nbytes;
    }
    for (const output of floatingTensors([event.result, event.rounded]))
      if (output.requiresGrad) this.#hooks.push(output.registerHook((gradient) => this.#arrived(place, gradient)));
    this.#seconds += (performance.now() - start) / 1000;
  };

  #arrived(place: string, gradient: Tensor): undefined {
    const start = performance.now();
    unobserved(() => this.#add(this.#gradient, place, gradient));
    this.#seconds += (performance.now() - start) / 1000;
  }

  #add(into: Map<string, Seen>, place: string, tensor: Tensor): void {
    const range = rangeOf(tensor);
    const seen = into.get(place);
    // A value that is not a number counts as the largest, and the first of them stays.
    const larger = seen === undefined || !(range.amax <= seen.range.amax || Number.isNaN(seen.range.amax));
    const largest = larger ? this.#largest(tensor, range, place) : seen.largest;
    if (seen === undefined) into.set(place, { dtypes: new Set([tensor.dtype]), range, largest });
    else {
      seen.dtypes.add(tensor.dtype);
      addRange(seen.range, range);
      seen.largest = largest;
    }
  }

  #largest(tensor: Tensor, range: ValueRange, place: string): LargestValue {
    const { value, index } = largestOf(tensor, range);
    const { images, first, stacks = [1] } = this.#batch ?? { images: 0, first: 0 };
    const [rows = 0] = tensor.shape;
    const [row = 0] = index;
    const ofImages = place !== placeName(null) && images > 0 && stacks.includes(rows / images);
    const { dtype } = tensor;
    return { value, dtype, index, image: ofImages ? first + Math.floor((row * images) / rows) : null };
  }
}

function records(seen: Map<string, Seen>): ModuleRecord[] {
  return [...seen].map(([path, { dtypes, range, largest }]) => {
    const share = lostShares(range);
    return {
      path,
      dtype: [...dtypes].join(" "),
      amax: range.amax,
      // The extremes are exact; the sample may have missed the value that is not finite.
      non_finite: Math.max(share.nonFinite, Number.isFinite(range.amax) ? 0 : 1 / range.elements),
      fp16_flush: share.fp16Flush,
      fp16_subnormal: share.fp16Subnormal,
      fp16_saturate: share.fp16Saturate,
      bf16_flush: share.bf16Flush,
      exponents: compactExponents(range),
      largest,
    };
  });
}

/**
 * Compares the weights before and after an optimizer step. It holds a copy of them in between.
 *
 * @example
 * const probe = new UpdateProbe([...model.namedParameters()]);
 * probe.begin();
 * step();
 * for (const { name, ratio } of probe.end()) console.log(name, ratio);
 */
export class UpdateProbe {
  #before: { name: string; parameter: Tensor; copy: Tensor }[] = [];

  /** @param parameters pairs of name and parameter */
  constructor(readonly parameters: readonly (readonly [name: string, Tensor])[]) {}

  /** Bytes of the copies. */
  get bytes(): number {
    return this.#before.reduce((sum, { copy }) => sum + copy.nbytes, 0);
  }

  /** Copies the weights. Call it before the optimizer step. */
  begin(): void {
    this.#release();
    this.#before = noGrad(() =>
      this.parameters.map(([name, parameter]) => ({ name, parameter, copy: keep(parameter.clone()) })),
    );
  }

  /**
   * Compares the weights with their copies, and frees the copies. Call it after the optimizer step.
   * @returns one record for each parameter, in the given order; none without {@link UpdateProbe.begin}
   */
  end(): UpdateRecord[] {
    const records = noGrad(() =>
      this.#before.map(({ name, parameter, copy }) => scope(() => compare(name, copy, parameter))),
    );
    this.#release();
    return records;
  }

  #release(): void {
    for (const { copy } of this.#before) copy.dispose();
    this.#before = [];
  }
}

function compare(name: string, before: Tensor, after: Tensor): UpdateRecord {
  const difference = after.sub(before);
  const weight = before.norm().item();
  const changed = difference.ne(0);
  const lost = ops.logicalAnd(changed, ops.eq(before.to("bfloat16"), after.to("bfloat16")));
  const count = changed.sum().item();
  return {
    name,
    ratio: weight === 0 ? 0 : difference.norm().item() / weight,
    bf16_lost: count === 0 ? 0 : lost.sum().item() / count,
  };
}
