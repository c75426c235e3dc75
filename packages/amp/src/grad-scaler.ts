// Dynamic loss scaling with the semantics of torch.amp.GradScaler (Micikevicius et al. 2018, arXiv:1710.03740 §3.2).
import { full, keep, noGrad, ops, scope, type Tensor, zeros } from "@rfdetr/torch";
import { GradScalerError } from "./errors.js";

/** Options of {@link GradScaler}. */
export interface ScalerOptions {
  /** The first scale, from 2^−126 to the largest float32; default 65536. */
  init?: number;
  /** The factor on the scale after `interval` good steps in a row, above 1; default 2. */
  growth?: number;
  /** The factor on the scale after a bad step, between 0 and 1; default 0.5. */
  backoff?: number;
  /** The number of good steps in a row after which the scale grows; default 2000. */
  interval?: number;
  /** Whether to scale; default true. When false, losses and gradients stay as they are. */
  enabled?: boolean;
  /** Receives a message once, when the scale falls below 1; default: writes it to stderr. */
  warn?: (message: string) => void;
}

/** The state of a gradient scaler in a checkpoint. */
export interface ScalerState {
  scale: number;
  growth: number;
  backoff: number;
  interval: number;
  /** Good steps in a row since the scale last changed. */
  goodSteps: number;
}

/** The smallest scale: of a smaller one, float32 has no reciprocal, and no gradient would ever be finite again. */
const smallest = 2 ** -126;

type Stage = "ready" | "unscaled" | "stepped";

/**
 * The loss scale of one optimizer, as torch.amp.GradScaler (Micikevicius et al. 2018, arXiv:1710.03740 §3.2). A step
 * consists of scale, backward, unscale, clip (optional), step and update, in this order. With several micro-batches,
 * call unscale once, after the last backward.
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
  /** Whether it scales. */
  readonly enabled: boolean;
  /** The factor on the scale after `interval` good steps in a row. */
  readonly growth: number;
  /** The factor on the scale after a bad step. */
  readonly backoff: number;
  /** The number of good steps in a row after which the scale grows. */
  readonly interval: number;
  #scale: number;
  #goodSteps = 0;
  #stage: Stage = "ready";
  #foundInf = false;
  /** What unscale() found, one element for each dtype and device, and not yet read. */
  #found: Tensor[] = [];
  readonly #warn: (message: string) => void;
  /** Whether the scale has ever fallen below 1, where it flushes small gradients to zero instead of protecting them. */
  belowOne = false;

  /** @throws GradScalerError for an option that is out of range */
  constructor(options: ScalerOptions = {}) {
    const { init = 65536, growth = 2, backoff = 0.5, interval = 2000, enabled = true } = options;
    const expect = (ok: boolean, what: string, name: string, value: number): void => {
      if (!ok)
        throw new GradScalerError(`Expected ${what} for scaler.${name} but received ${value} of type ${typeof value}`);
    };
    const isScale = Number.isFinite(Math.fround(init)) && init >= smallest;
    expect(isScale, "float32 of at least 2^-126", "init", init);
    // In float32, a factor closer to 1 would leave the scale as it is.
    expect(Number.isFinite(growth) && Math.fround(growth) > 1, "number above 1", "growth", growth);
    expect(backoff > 0 && Math.fround(backoff) < 1, "number between 0 and 1", "backoff", backoff);
    expect(Number.isInteger(interval) && interval > 0, "positive integer", "interval", interval);
    this.enabled = enabled;
    this.#scale = Math.fround(init);
    this.#warn = options.warn ?? ((message) => void process.stderr.write(`${message}\n`));
    this.growth = growth;
    this.backoff = backoff;
    this.interval = interval;
  }

  /** The current scale; 1 when `enabled` is false. */
  get currentScale(): number {
    return this.enabled ? this.#scale : 1;
  }
  /**
   * Whether a gradient of this step held NaN or infinity. Known after {@link GradScaler.unscale}. On a GPU the first
   * question waits for the gradients, unless {@link GradScaler.markFinite} has answered it.
   */
  get foundInf(): boolean {
    for (const found of this.#found) {
      if (!this.#foundInf && found.item() !== 0) this.#foundInf = true;
      found.dispose();
    }
    this.#found = [];
    return this.#foundInf;
  }
  /** Tells that all gradients of this step are finite, as a finite norm shows. Nothing is then read from the device. */
  markFinite(): void {
    this.#foundInf = false;
    this.#forget();
  }

  /** Returns the loss times the current scale. Call backward on the result. */
  scale(loss: Tensor): Tensor {
    return this.enabled ? loss.mul(this.#scale) : loss;
  }

  /**
   * Divides the gradients by the scale, in place, and records whether one is not finite. The reciprocal of the scale is
   * computed in float64.
   * @throws GradScalerError for a second call in a step, a call after step(), float16 gradients, or no gradients at all
   */
  unscale(parameters: readonly Tensor[]): void {
    if (!this.enabled) return;
    if (this.#stage === "unscaled")
      throw new GradScalerError("Expected unscale() once since the last update() but received a second call");
    if (this.#stage === "stepped") throw new GradScalerError("Expected unscale() before step() but received it after");
    noGrad(() =>
      scope(() => {
        const gradients = parameters.map((p) => p.grad).filter((g) => g !== null);
        const low = gradients.find((g) => g.dtype === "float16");
        if (low !== undefined)
          throw new GradScalerError(
            `Expected float32 gradients but received ${low}: unscaling float16 gradients would lose what scaling saved; keep the weights in float32`,
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
          const found = keep(zeros([1], { device }));
          this.#found.push(found);
          ops._ampForeachNonFiniteCheckAndUnscale_(group, found, full([1], Math.fround(1 / this.#scale), { device }));
        }
      }),
    );
    this.#stage = "unscaled";
  }

  /**
   * Steps the optimizer unless a gradient is not finite. Unscales first where that was not done.
   * @returns whether the optimizer has stepped
   * @throws GradScalerError for a second call since the last update()
   */
  step(optimizer: { parameters: Tensor[]; step(): void }): boolean {
    if (!this.enabled) {
      optimizer.step();
      return true;
    }
    if (this.#stage === "stepped")
      throw new GradScalerError("Expected step() once since the last update() but received a second call");
    if (this.#stage === "ready") this.unscale(optimizer.parameters);
    const good = !this.foundInf;
    if (good) optimizer.step();
    this.#stage = "stepped";
    return good;
  }

  /**
   * Marks the step as bad for a reason found elsewhere, such as a loss that is not finite. update() then lowers the
   * scale.
   */
  reject(): void {
    this.#foundInf = true;
    this.#forget();
    this.#stage = "stepped";
  }

  /**
   * Adapts the scale and prepares the next step.
   * @throws GradScalerError where neither unscale() nor step() was called before
   */
  update(): void {
    if (!this.enabled) return;
    if (this.#stage === "ready")
      throw new GradScalerError("Expected unscale() or step() before update() but neither was called");
    if (this.foundInf) {
      this.#scale = Math.max(Math.fround(this.#scale * this.backoff), smallest);
      this.#goodSteps = 0;
      if (this.#scale < 1 && !this.belowOne) {
        this.belowOne = true;
        this.#warn(
          `The loss scale fell to ${this.#scale}: below 1 it flushes small gradients to zero instead of protecting them. Overflow in every step means that training diverges or that a module needs float32: see the overflow report, or train in bf16-mixed.`,
        );
      }
    } else if (++this.#goodSteps >= this.interval) {
      // As in PyTorch, the scale is a float32. If it grew past that range, every loss would be infinite.
      const grown = Math.fround(this.#scale * this.growth);
      if (grown < Number.POSITIVE_INFINITY) this.#scale = grown;
      this.#goodSteps = 0;
    }
    this.#stage = "ready";
    this.#foundInf = false;
  }

  #forget(): void {
    for (const found of this.#found) found.dispose();
    this.#found = [];
  }

  /** The state to save in a checkpoint. */
  stateDict(): ScalerState {
    return {
      scale: this.#scale,
      growth: this.growth,
      backoff: this.backoff,
      interval: this.interval,
      goodSteps: this.#goodSteps,
    };
  }
  /**
   * Restores the scale and the count of good steps. Growth, backoff and interval keep the values of the constructor.
   */
  loadStateDict(state: ScalerState): void {
    this.#scale = Math.max(state.scale, smallest);
    this.#goodSteps = state.goodSteps;
  }
}
