// Every `monitor_interval`-th step seen from inside: activations, gradients, memory at the peak, and how far the weights
// move.
import { Monitor, UpdateProbe } from "@rfdetr/amp";
import type { Ema } from "../train/ema.js";
import { MemoryPeak } from "../train/memory-peak.js";
import type { StepObserver } from "../train/step.js";
import type { StepParts } from "../train/step-parts.js";
import type { RecordedStep } from "./recorders/recorder.js";

/** Watches single steps. What it does changes no bit of them. */
export class StepWatch {
  readonly #monitor: Monitor;
  readonly #updates: UpdateProbe;
  readonly #memory: MemoryPeak;
  /** How often forward makes several rows of one image: windows of the encoder, groups of queries. */
  readonly #stacks: readonly number[];
  #watching = false;

  /** @param interval steps between those that are watched; 0 watches none */
  constructor(parts: StepParts, ema: Ema | null, interval: number) {
    const { numWindows, groupDetr } = parts.model.config;
    this.#monitor = new Monitor({ interval });
    this.#updates = new UpdateProbe(
      [...parts.model.namedParameters()].filter(([, parameter]) => parameter.requiresGrad),
    );
    this.#memory = new MemoryPeak(parts, ema);
    this.#stacks = [1, numWindows ** 2, groupDetr];
  }

  /**
   * Call before a step.
   * @param step its number, from 1
   * @returns what the step is to tell how far it is; null where it is not watched
   */
  begin(step: number): StepObserver | null {
    this.#watching = this.#monitor.due(step);
    if (!this.#watching) return null;
    this.#updates.begin();
    const memory = this.#memory;
    memory.begin(this.#updates.bytes);
    this.#monitor.begin({ arrived: () => memory.look("backward") });
    return {
      microBatch: (images, first) => this.#monitor.batch({ images, first, stacks: this.#stacks }),
      ended: (phase) => memory.look(phase),
      kept: (bytes) => memory.kept(bytes),
    };
  }

  /** Call after the step. @returns what was seen, or null where the step was not watched */
  end(): RecordedStep["seen"] {
    if (!this.#watching) return null;
    const watched = this.#monitor.end();
    const memory = this.#memory.end(watched.written);
    return { ...watched, updates: this.#updates.end(), memory };
  }

  /** Removes the observers; a step that threw has left them in place. */
  close(): void {
    this.#monitor.end();
  }
}
