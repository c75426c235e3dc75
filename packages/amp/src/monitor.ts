// The monitor: on sampled steps, the range of every module's activations and gradients.
import { keep, noGrad, ops, scope, type Tensor } from "@rfdetr/torch";
import { MonitorError } from "./errors.js";
import { type OperatorEvent, observe, unobserved } from "./observe.js";
import { quietOperators } from "./policy.js";
import { addRange, compactExponents, type Range, rangeOf, shares } from "./range.js";
import type { ModuleRecord, UpdateRecord } from "./step-record.js";
import { floatingTensors, placeName } from "./tensors.js";

interface Seen {
  dtypes: Set<string>;
  range: Range;
}

/** What the monitor saw in one step. */
export interface Watched {
  forward: ModuleRecord[];
  gradient: ModuleRecord[];
  /** Bytes that the operators of the forward put out, by the width of their values. */
  written: { half: number; full: number };
  /** Time spent looking. */
  seconds: number;
}

/**
 * Watches the steps it is told to. A watched step looks at the output of every operator that computes (views, copies
 * and comparisons are passed over), adds up what it sees by module, and hangs a hook on each output for its gradient.
 * In between, nothing stands in the operators' way.
 */
export class Monitor {
  /** Steps between watched ones; 0 watches none. */
  readonly interval: number;
  #stop: (() => void) | null = null;
  #forward = new Map<string, Seen>();
  #gradient = new Map<string, Seen>();
  #hooks: (() => void)[] = [];
  #written = { half: 0, full: 0 };
  #seconds = 0;

  constructor(options: { interval?: number } = {}) {
    this.interval = options.interval ?? 200;
    if (!Number.isInteger(this.interval) || this.interval < 0)
      throw new MonitorError(
        `Expected a whole number of steps for the monitor's interval but received ${this.interval} of type ${typeof this.interval}`,
      );
  }

  /** Whether a step (from 1) is one to watch: the first, and every `interval`-th. */
  due(step: number): boolean {
    return this.interval > 0 && (step === 1 || step % this.interval === 0);
  }

  /** Starts watching; everything until {@link end} belongs to one step. */
  begin(): void {
    this.end();
    this.#forward = new Map();
    this.#gradient = new Map();
    this.#written = { half: 0, full: 0 };
    this.#seconds = 0;
    this.#stop = observe(this.#look);
  }

  /** Stops watching, takes every hook away and gives what was seen; gradients as they flowed, times the loss scale. */
  end(): Watched {
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
      // Backward of other devices runs on threads of its own, where no JavaScript can.
      if (output.requiresGrad && output.device === "cpu")
        this.#hooks.push(output.registerHook((gradient) => this.#arrived(place, gradient)));
    }
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
    if (seen === undefined) into.set(place, { dtypes: new Set([tensor.dtype]), range });
    else {
      seen.dtypes.add(tensor.dtype);
      addRange(seen.range, range);
    }
  }
}

function records(seen: Map<string, Seen>): ModuleRecord[] {
  return [...seen].map(([path, { dtypes, range }]) => {
    const share = shares(range);
    return {
      path,
      dtype: [...dtypes].join(" "),
      amax: range.amax,
      // The sample may have missed what the exact extremes have seen.
      non_finite: Math.max(share.nonFinite, Number.isFinite(range.amax) ? 0 : 1 / range.elements),
      fp16_flush: share.fp16Flush,
      fp16_subnormal: share.fp16Subnormal,
      fp16_saturate: share.fp16Saturate,
      bf16_flush: share.bf16Flush,
      exponents: compactExponents(range),
    };
  });
}

/** Compares weights before and after an optimizer step. Holds a copy of them in between. */
export class UpdateProbe {
  #before: { name: string; parameter: Tensor; copy: Tensor }[] = [];

  constructor(readonly parameters: readonly (readonly [name: string, Tensor])[]) {}

  begin(): void {
    this.#release();
    this.#before = noGrad(() =>
      this.parameters.map(([name, parameter]) => ({ name, parameter, copy: keep(parameter.detach().clone()) })),
    );
  }

  /** @returns one record a parameter, in the given order; empty without {@link begin} */
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
