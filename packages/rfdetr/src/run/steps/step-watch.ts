// Every `monitor_interval`-th step seen from inside: activations, gradients, how far the weights move, and what the
// memory held at the peak of the step before.
import { Monitor, UpdateProbe } from "@rfdetr/amp";
import { MemoryPeak } from "../../train/measure/memory-peak.js";
import type { Ema } from "../../train/step/ema.js";
import type { StepObserver } from "../../train/step/step.js";
import type { StepParts } from "../../train/step/step-parts.js";
import type { RecordedStep } from "../recorders/recorder.js";

/** Watches single steps. What it does changes no bit of them. */
export class StepWatch {
  readonly #monitor: Monitor;
  readonly #updates: UpdateProbe;
  readonly #memory: MemoryPeak;
  /** How often forward makes several rows of one image: windows of the encoder, groups of queries. */
  readonly #stacks: readonly number[];
  #watching = false;

  /** @param interval steps between those that are watched, as it is now; 0 watches none */
  constructor(
    parts: StepParts,
    ema: Ema | null,
    readonly interval: () => number,
  ) {
    const { numWindows, groupDetr } = parts.model.config;
    this.#monitor = new Monitor();
    this.#updates = new UpdateProbe(
      [...parts.model.namedParameters()].filter(([, parameter]) => parameter.requiresGrad),
    );
    this.#memory = new MemoryPeak(parts, ema);
    this.#stacks = [1, numWindows ** 2, groupDetr];
  }

  /**
   * Call before a step.
   * @param step its number, from 1
   * @returns what the step is to tell how far it is; null where nothing of it is looked at
   */
  begin(step: number): StepObserver | null {
    const memory = this.#memory;
    const monitor = this.#monitor;
    monitor.interval = this.interval();
    const watching = monitor.due(step);
    // Watched perceptrons run layer by layer and keep more: the step before tells of the memory of all others.
    const looking = monitor.due(step + 1) || (watching && step === 1);
    this.#watching = watching;
    if (watching) this.#updates.begin();
    if (looking) memory.begin(step, this.#updates.bytes);
    if (watching) this.#monitor.begin();
    if (!watching && !looking) return null;
    return {
      microBatch: (images, first) => watching && this.#monitor.batch({ images, first, stacks: this.#stacks }),
      ended: (phase) => looking && memory.look(phase),
      kept: (bytes) => looking && memory.kept(bytes),
    };
  }

  /** Call after the step. @returns what was seen, or null where the step was not watched */
  end(): RecordedStep["seen"] {
    this.#memory.end();
    if (!this.#watching) return null;
    const watched = this.#monitor.end();
    return { ...watched, updates: this.#updates.end(), memory: this.#memory.result(watched.written) };
  }

  /** Removes the observers; a step that threw has left them in place. */
  close(): void {
    this.#memory.end();
    this.#monitor.end();
  }
}
