// The exponential moving average of the weights (Polyak and Juditsky 1992), which is evaluated and saved for use.
import { keep, type nn, noGrad, ops, type optim, scope, type Tensor } from "@rfdetr/torch";
import { CheckpointError } from "../../support/errors.js";

/** What a checkpoint keeps of the average: float32 tensors by name, and the number of updates. */
export interface EmaState {
  tensors: Map<string, Tensor>;
  updates: number;
}

/**
 * Float32 copies of all weights. The first update copies; update t ≥ 2 moves by 1 − decay·(1 − e^(−t/tau)), a ramp that
 * forgets the random start. `rfdetr.training.callbacks.ema`.
 *
 * @example
 * const ema = new Ema(model, { decay: 0.993, tau: 100 });
 * step();
 * ema.update();
 */
export class Ema {
  readonly decay: number;
  readonly tau: number;
  readonly #model: nn.Module;
  readonly #average: Map<string, Tensor>;
  #updates = 0;

  constructor(model: nn.Module, options: { decay: number; tau: number }) {
    this.decay = options.decay;
    this.tau = options.tau;
    this.#model = model;
    this.#average = noGrad(
      () => new Map([...model.stateDict()].map(([key, value]) => [key, scope(() => keep(value.detach().clone()))])),
    );
  }

  get updates(): number {
    return this.#updates;
  }

  /** The share of the old average that update `t` (from 1) keeps. */
  decayAt(t: number): number {
    if (t === 1) return 0;
    return this.tau === 0 ? this.decay : this.decay * (1 - Math.exp(-t / this.tau));
  }

  /** Counts an update and says what it is, for `optim.AdamW.step` to make in its pass over the weights. */
  advance(): optim.MovingAverage {
    this.#updates++;
    const own = this.#model.stateDict();
    const of = new Map([...this.#average].map(([key, average]) => [own.get(key) as Tensor, average]));
    return { of, weight: 1 - this.decayAt(this.#updates) };
  }

  /** Updates the average from the model's weights, outside of an optimizer step. */
  update(): void {
    const { of, weight } = this.advance();
    noGrad(() => scope(() => ops._foreachLerp_([...of.values()], [...of.keys()], weight)));
  }

  /** The live state, not a copy. */
  state(): EmaState {
    return { tensors: this.#average, updates: this.#updates };
  }

  /** @throws CheckpointError when a weight is missing or has another shape; nothing is changed then. */
  load(state: EmaState): void {
    for (const [key, value] of this.#average) {
      const stored = state.tensors.get(key);
      if (stored?.shape.join() === value.shape.join()) continue;
      throw new CheckpointError(
        `Expected the average of ${key} [${value.shape}] in the checkpoint but ${stored === undefined ? "it is missing" : `it has the shape [${stored.shape}]`}: the checkpoint belongs to another model or was changed`,
      );
    }
    noGrad(() => {
      for (const [key, value] of this.#average) value.copy_(state.tensors.get(key) as Tensor);
    });
    this.#updates = state.updates;
  }
}
