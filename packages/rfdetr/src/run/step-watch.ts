// Every `monitor_interval`-th step seen from inside: activations, gradients, and how far the weights move.
import { Monitor, UpdateProbe } from "@rfdetr/amp";
import type { RFDETRModel } from "../model/rfdetr.js";
import type { RecordedStep } from "./recorders/recorder.js";

/** Watches single steps. What it does changes no bit of them. */
export class StepWatch {
  readonly #monitor: Monitor;
  readonly #updates: UpdateProbe;
  #watching = false;

  /** @param interval steps between those that are watched; 0 watches none */
  constructor(model: RFDETRModel, interval: number) {
    this.#monitor = new Monitor({ interval });
    this.#updates = new UpdateProbe([...model.namedParameters()].filter(([, parameter]) => parameter.requiresGrad));
  }

  /** Call before a step. @param step its number, from 1 */
  begin(step: number): void {
    this.#watching = this.#monitor.due(step);
    if (!this.#watching) return;
    this.#updates.begin();
    this.#monitor.begin();
  }

  /** Call after the step. @returns what was seen, or null where the step was not watched */
  end(): RecordedStep["seen"] {
    return this.#watching ? { ...this.#monitor.end(), updates: this.#updates.end() } : null;
  }

  /** Removes the observers; a step that threw has left them in place. */
  close(): void {
    this.#monitor.end();
  }
}
