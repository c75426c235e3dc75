// The memory of tensors by kind, and at the peak of a step.
import { memory, resetPeakMemory, scope, type Tensor } from "@rfdetr/torch";
import type { Ema } from "../step/ema.js";
import type { StepParts } from "../step/step-parts.js";

/** The memory of tensors at the peak of a step. The kinds add up to `bytes`, and so do the dtypes. */
export interface PeakMemory {
  /**
   * The step that was looked at: the one before the watched one, which runs as all others do. Only the first step of a
   * run is itself watched, which lets forward keep more.
   */
  step: number;
  /** The peak, without what the monitor itself held. */
  bytes: number;
  /** The phase of the step in which it came. */
  phase: "forward" | "loss" | "backward" | "optimizer";
  kinds: {
    weights: number;
    /** The low-precision copies of the weights. */
    copies: number;
    /** The gradients of the weights that were there already. */
    gradients: number;
    /** The two moments of the optimizer. */
    moments: number;
    /** The moving average of the weights. */
    average: number;
    /** What forward kept for backward, as far as backward had not freed it yet. */
    activations: number;
    /** The rest: what an operator needed while it ran, gradients of activations, images, targets. */
    temporary: number;
  };
  /**
   * Bytes by dtype. What forward kept is divided in the ratio of the bytes that its operators wrote, and `temporary` is
   * `other`.
   */
  dtypes: Record<string, number>;
}

/** What of a step is looked at. */
type Parts = Pick<StepParts, "model" | "optimizer" | "autocast" | "device">;

const bytesOf = (tensors: Iterable<Tensor>): number => [...tensors].reduce((sum, tensor) => sum + tensor.nbytes, 0);

/**
 * Bytes of what is the same in every precision. Gradients are those of all trained weights, which not every moment of a
 * step has.
 */
export function fixedBytes(
  { model, optimizer }: Pick<StepParts, "model" | "optimizer">,
  ema: Ema | null,
): { weights: number; gradients: number; moments: number; average: number } {
  const weights = bytesOf(model.stateDict().values());
  const gradients = bytesOf(optimizer.parameters);
  const moments = bytesOf(optimizer.stateTensors());
  return { weights, gradients, moments, average: ema === null ? 0 : weights };
}

/** What was there when the peak rose last. */
interface Moment {
  step: number;
  phase: PeakMemory["phase"];
  peak: number;
  gradients: number;
  copies: number;
}

/**
 * Finds what the memory of a step held at its peak. It is told how far the step is, and looks whether the peak has
 * risen since; the peak of the process begins anew with {@link MemoryPeak.begin}.
 */
export class MemoryPeak {
  readonly #parts: Parts;
  readonly #ema: Ema | null;
  #step = 0;
  #held = 0;
  #kept = 0;
  #moment: Moment | null = null;
  #hooks: (() => void)[] = [];

  constructor(parts: Parts, ema: Ema | null) {
    this.#parts = parts;
    this.#ema = ema;
  }

  /** Call before the step. @param held bytes of tensors that do not belong to it */
  begin(step: number, held: number): void {
    this.#step = step;
    this.#held = held;
    this.#kept = 0;
    this.#moment = null;
    // Gradients arrive in the middle of backward.
    this.#hooks = this.#parts.optimizer.parameters.map((parameter) =>
      parameter.registerHook((): undefined => this.look("backward")),
    );
    resetPeakMemory(this.#parts.device);
  }

  /** Call after the step, also where it has thrown. */
  end(): void {
    for (const remove of this.#hooks.splice(0)) remove();
  }

  /** Looks whether the peak has risen. @param phase what the step does, or has just done */
  look(phase: PeakMemory["phase"]): undefined {
    const { device, autocast, optimizer } = this.#parts;
    const { peakBytes } = memory(device);
    if (peakBytes <= (this.#moment?.peak ?? 0)) return;
    const gradients = scope(() => bytesOf(optimizer.parameters.flatMap(({ grad }) => grad ?? [])));
    this.#moment = { step: this.#step, phase, peak: peakBytes, gradients, copies: autocast.cachedBytes };
  }

  /** A forward has ended. @param bytes what it kept for backward */
  kept(bytes: number): void {
    this.#kept = Math.max(this.#kept, bytes);
  }

  /**
   * What the step held at its peak; null where none was looked at.
   * @param written bytes that the operators of a forward wrote, `half` in low precision
   */
  result(written: { half: number; full: number }): PeakMemory | null {
    if (this.#moment === null) return null;
    const { step, phase, peak, gradients, copies } = this.#moment;
    const { autocast, optimizer } = this.#parts;
    const { weights, moments, average } = fixedBytes(this.#parts, this.#ema);
    const bytes = peak - this.#held;
    const rest = Math.max(0, bytes - weights - moments - average - gradients - copies);
    const activations = Math.min(this.#kept, rest);
    const low = Math.round((activations * written.half) / Math.max(1, written.half + written.full));
    const dtypes: Record<string, number> = {};
    const add = (dtype: string, count: number): void => {
      if (count > 0) dtypes[dtype] = (dtypes[dtype] ?? 0) + count;
    };
    add("float32", weights + average + gradients + activations - low);
    for (const tensor of optimizer.stateTensors()) add(tensor.dtype, tensor.nbytes);
    add(autocast.dtype ?? "float32", copies + low);
    add("other", rest - activations);
    const kinds = { weights, copies, gradients, moments, average, activations, temporary: rest - activations };
    return { step, bytes, phase, kinds, dtypes };
  }
}
