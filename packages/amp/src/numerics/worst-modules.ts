// The modules of a run that come closest to the limits of float16.
import { headroomOf } from "./headroom.js";
import type { Headroom, ModuleRecord, MonitorRecord } from "./step-record.js";

/** The extremes of one module over all watched steps. */
export interface WorstModule {
  /** The path of the module; `(model)` for the root. */
  path: string;
  /** Whether the values are outputs or gradients. */
  side: "forward" | "gradient";
  /** The largest absolute value; NaN where one was NaN. Gradients include the loss scale. */
  amax: number;
  /** The watched step with that value. */
  step: number;
  /** The file of the image that made it; null where no single image did, or where the file does not tell. */
  image: string | null;
  /** The least headroom in float16, in bits. Gradients include the loss scale. */
  headroom: Headroom;
  /** The largest share of one step, 0 to 1, that exceeds float16's 65504. */
  fp16_saturate: number;
  /** The largest share of one step, 0 to 1, that float16 rounds to zero. */
  fp16_flush: number;
  /** The largest share of one step, 0 to 1, that is NaN or infinite. */
  non_finite: number;
}

/** Collects the extremes of every module. */
export class WorstModules {
  readonly #places = new Map<string, WorstModule>();

  add(record: MonitorRecord): void {
    for (const module of record.forward) this.#add("forward", module, record);
    for (const module of record.gradient) this.#add("gradient", module, record);
  }

  #add(side: WorstModule["side"], module: ModuleRecord, { step, images }: MonitorRecord): void {
    const { path, amax, largest } = module;
    const key = `${side} ${path}`;
    const before = this.#places.get(key);
    const headroom = headroomOf(module).fp16;
    const larger = before === undefined || !(amax <= before.amax || Number.isNaN(before.amax));
    const value = larger ? { amax, step, image: images?.[largest?.image ?? -1] ?? null } : before;
    this.#places.set(key, {
      path,
      side,
      ...value,
      headroom: {
        overflow: Math.min(before?.headroom.overflow ?? headroom.overflow, headroom.overflow),
        underflow: Math.min(before?.headroom.underflow ?? headroom.underflow, headroom.underflow),
      },
      fp16_saturate: Math.max(before?.fp16_saturate ?? 0, module.fp16_saturate),
      fp16_flush: Math.max(before?.fp16_flush ?? 0, module.fp16_flush),
      non_finite: Math.max(before?.non_finite ?? 0, module.non_finite),
    });
  }

  /**
   * The ten modules that come closest to the limit of float16 or exceed it: by share not finite, then by largest value.
   */
  worst(): WorstModule[] {
    const size = (m: WorstModule): number => (Number.isNaN(m.amax) ? Number.POSITIVE_INFINITY : m.amax);
    return [...this.#places.values()].sort((a, b) => b.non_finite - a.non_finite || size(b) - size(a)).slice(0, 10);
  }
}
