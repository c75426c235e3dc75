// Dynamic loss scaling with PyTorch's semantics (torch.amp.GradScaler; Micikevicius et al. 2018, arXiv:1710.03740
// §3.2).
import { noGrad, ops, scope, type Tensor, tensor } from "@rfdetr/torch";
import { GradScalerError } from "./errors.js";

/** What a gradient scaler is made with. */
export interface ScalerOptions {
  /** First scale; default 65536. */
  init?: number;
  /** Factor after `interval` good steps in a row; default 2. */
  growth?: number;
  /** Factor after a bad step; default 0.5. */
  backoff?: number;
  /** Good steps between growths; default 2000. */
  interval?: number;
  /** Switched off, the scaler passes everything through. */
  enabled?: boolean;
  /** Told once when the scale falls below 1; default: written to stderr. */
  warn?: (message: string) => void;
}

/** What a checkpoint keeps of a gradient scaler. */
export interface ScalerState {
  scale: number;
  growth: number;
  backoff: number;
  interval: number;
  goodSteps: number;
}

type Stage = "ready" | "unscaled" | "stepped";

/**
 * One optimizer's loss scale. The order of a step is scale → backward → unscale → (clip) → step → update; with several
 * micro-batches unscale once, after the last backward.
 * @example
 * import { GradScaler } from "@rfdetr/amp";
 * import { optim } from "@rfdetr/torch";
 * const optimizer = new optim.AdamW([{ params: model.parameters(), lr: 1e-4, weightDecay: 1e-4 }]);
 * const scaler = new GradScaler();
 * scaler.scale(loss).backward();
 * scaler.unscale(optimizer.parameters);
 * optim.clipGradNorm(optimizer.parameters, 0.1);
 * scaler.step(optimizer);
 * scaler.update();
 */
export class GradScaler {
  readonly enabled: boolean;
  readonly growth: number;
  readonly backoff: number;
  readonly interval: number;
  #scale: number;
  #goodSteps = 0;
  #stage: Stage = "ready";
  #foundInf = false;
  readonly #warn: (message: string) => void;
  /** Set once the scale has fallen below 1, where gradients are no longer protected but flushed. */
  belowOne = false;

  constructor(options: ScalerOptions = {}) {
    const { init = 65536, growth = 2, backoff = 0.5, interval = 2000, enabled = true } = options;
    const expect = (ok: boolean, what: string, name: string, value: number): void => {
      if (!ok)
        throw new GradScalerError(`Expected ${what} for scaler.${name} but received ${value} of type ${typeof value}`);
    };
    expect(Number.isFinite(init) && init > 0, "positive number", "init", init);
    expect(growth > 1, "number above 1", "growth", growth);
    expect(backoff > 0 && backoff < 1, "number between 0 and 1", "backoff", backoff);
    expect(Number.isInteger(interval) && interval > 0, "positive integer", "interval", interval);
    this.enabled = enabled;
    this.#scale = Math.fround(init);
    this.#warn = options.warn ?? ((message) => void process.stderr.write(`${message}\n`));
    this.growth = growth;
    this.backoff = backoff;
    this.interval = interval;
  }

  /** The current scale; 1 when switched off. */
  get currentScale(): number {
    return this.enabled ? this.#scale : 1;
  }
  /** Whether the gradients of this step held an infinity or NaN; known after {@link unscale}. */
  get foundInf(): boolean {
    return this.#foundInf;
  }

  /** The loss times the scale, to run backward on. */
  scale(loss: Tensor): Tensor {
    return this.enabled ? loss.mul(this.#scale) : loss;
  }

  /**
   * Divides the gradients by the scale in place and notes whether any is not finite. The reciprocal is taken in
   * float64.
   * @throws GradScalerError when called twice in a step, after step(), or on half-precision gradients
   */
  unscale(parameters: readonly Tensor[]): void {
    if (!this.enabled) return;
    if (this.#stage === "unscaled")
      throw new GradScalerError("Expected unscale() once since the last update() but received a second call");
    if (this.#stage === "stepped") throw new GradScalerError("Expected unscale() before step() but received it after");
    noGrad(() =>
      scope(() => {
        const gradients = parameters.map((p) => p.grad).filter((g) => g !== null);
        const half = gradients.find((g) => g.dtype === "float16");
        if (half !== undefined)
          throw new GradScalerError(
            `Expected float32 gradients but received ${half}: unscaling float16 gradients would lose what scaling saved; keep the weights in float32`,
          );
        if (gradients.length === 0)
          throw new GradScalerError(
            "Expected gradients to unscale but no parameter has one: call backward() on the scaled loss first",
          );
        // The operator takes tensors of one dtype and device at a time.
        const alike = new Map<string, { device: string; group: Tensor[] }>();
        for (const gradient of gradients) {
          const { dtype, device } = gradient;
          const known = alike.get(`${dtype} ${device}`);
          if (known === undefined) alike.set(`${dtype} ${device}`, { device, group: [gradient] });
          else known.group.push(gradient);
        }
        for (const { device, group } of alike.values()) {
          const found = tensor([0], { device });
          ops._ampForeachNonFiniteCheckAndUnscale_(
            group,
            found,
            tensor([1 / this.#scale], { dtype: "float64" }).to({ dtype: "float32", device }),
          );
          if (found.item() !== 0) this.#foundInf = true;
        }
      }),
    );
    this.#stage = "unscaled";
  }

  /** Runs `optimizer` unless the gradients were bad; unscales first if that was not done. @returns whether it ran */
  step(optimizer: { parameters: Tensor[]; step(): void }): boolean {
    if (!this.enabled) {
      optimizer.step();
      return true;
    }
    if (this.#stage === "stepped")
      throw new GradScalerError("Expected step() once since the last update() but received a second call");
    if (this.#stage === "ready") this.unscale(optimizer.parameters);
    if (!this.#foundInf) optimizer.step();
    this.#stage = "stepped";
    return !this.#foundInf;
  }

  /** Marks the step as bad for a reason seen elsewhere (a loss that is not finite), so that update() backs off. */
  reject(): void {
    this.#foundInf = true;
    this.#stage = "stepped";
  }

  /** Adapts the scale and makes ready for the next step. */
  update(): void {
    if (!this.enabled) return;
    if (this.#stage === "ready")
      throw new GradScalerError("Expected unscale() or step() before update() but no gradients were looked at");
    if (this.#foundInf) {
      this.#scale = Math.fround(this.#scale * this.backoff);
      this.#goodSteps = 0;
      if (this.#scale < 1 && !this.belowOne) {
        this.belowOne = true;
        this.#warn(
          `The loss scale fell to ${this.#scale}: below 1 it no longer protects gradients from flushing to zero, it causes it. Overflow in every step is a sign of diverging training or of a module that needs float32: see the overflow report, or train in bf16-mixed.`,
        );
      }
    } else if (++this.#goodSteps >= this.interval) {
      // Kept in float32, as PyTorch does; growing past its range would make every loss infinite.
      const grown = Math.fround(this.#scale * this.growth);
      if (grown < Number.POSITIVE_INFINITY) this.#scale = grown;
      this.#goodSteps = 0;
    }
    this.#stage = "ready";
    this.#foundInf = false;
  }

  stateDict(): ScalerState {
    return {
      scale: this.#scale,
      growth: this.growth,
      backoff: this.backoff,
      interval: this.interval,
      goodSteps: this.#goodSteps,
    };
  }
  /** Takes over scale and counter; growth, backoff and interval stay as configured. */
  loadStateDict(state: ScalerState): void {
    this.#scale = state.scale;
    this.#goodSteps = state.goodSteps;
  }
}
