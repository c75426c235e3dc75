// The events of a run for any number of readers, each of which reads all of them at its own pace.
import type { TrainEvent } from "./events.js";

/** With more events than this, the oldest step and evaluation events are dropped. */
const mostEvents = 10_000;

/** Keeps the events of a run, so that a reader who comes late, or is slower than others, sees them too. */
export class EventLog {
  /** Events with their numbers, which ascend and have gaps where events were dropped. */
  readonly #kept: { number: number; event: TrainEvent }[] = [];
  #pushed = 0;
  #end: { failure: unknown } | null = null;
  readonly #waiting: (() => void)[] = [];

  push(event: TrainEvent): void {
    if (this.#kept.length >= mostEvents) {
      const oldest = this.#kept.findIndex(({ event: { type } }) => type === "step" || type === "evaluation");
      if (oldest >= 0) this.#kept.splice(oldest, 1);
    }
    this.#kept.push({ number: this.#pushed++, event });
    this.#wake();
  }

  /** No event follows. @param failure what every reader throws after the last event; null for nothing */
  end(failure: unknown): void {
    this.#end = { failure };
    this.#wake();
  }

  /** Every event that is kept, from the first one on, and those to come. @throws what the log ended with */
  async *read(): AsyncGenerator<TrainEvent> {
    for (let from = 0; ; ) {
      const next = this.#kept[this.#indexOf(from)];
      if (next !== undefined) {
        from = next.number + 1;
        yield next.event;
      } else if (this.#end === null) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      else if (this.#end.failure !== null) throw this.#end.failure;
      else return;
    }
  }

  /** Index of the first event with this number or a later one. */
  #indexOf(number: number): number {
    let [low, high] = [0, this.#kept.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#kept[middle].number < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
