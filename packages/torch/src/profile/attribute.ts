// Finds whose work an event is: its module, spans and phase. Backward belongs to the forward that made the node.
import type { ProfileEvent, RecordedEvent } from "./event.js";

interface Place {
  module: string | null;
  span: string | null;
}

const nowhere: Place = { module: null, span: null };

/**
 * Gives every event its module, spans and phase, and every backward node the operator that made it. Events are ordered
 * by thread, and an event comes after the one that it ran inside of.
 *
 * The accumulation of a leaf's gradient is not the backward of an operator. It belongs to the place of the node before
 * it, which made the gradient. The engine's work around a node belongs to the node's place.
 */
export function attribute(events: readonly RecordedEvent[]): ProfileEvent[] {
  const makers = makersOf(events);
  const result: ProfileEvent[] = [];
  /** The place of the last node of each thread. */
  const last = new Map<number, Place>();

  const forwardOf = ({ kind, sequence, forwardThread }: RecordedEvent): number =>
    kind === "backward" && sequence >= 0 ? (makers.get(forwardThread)?.of(sequence) ?? -1) : -1;
  const placeOfNode = (event: RecordedEvent, around: Place): Place => {
    if (event.sequence < 0) return event.name === "AccumulateGrad" ? (last.get(event.thread) ?? around) : around;
    return result[forwardOf(event)] ?? around;
  };
  const placeOf = (event: RecordedEvent, index: number, around: Place): Place => {
    switch (event.kind) {
      case "module":
        return { module: event.path, span: around.span };
      case "span":
        return { module: around.module, span: around.span === null ? event.name : `${around.span}/${event.name}` };
      case "backward": {
        const place = placeOfNode(event, around);
        last.set(event.thread, place);
        return place;
      }
      case "engine": {
        const node = events[index + 1];
        return node?.kind === "backward" && node.parent === index ? placeOfNode(node, around) : around;
      }
      default:
        return around;
    }
  };

  for (const [index, recorded] of events.entries()) {
    const { path, forwardThread, ...event } = recorded;
    const parent = result[event.parent];
    const { module, span } = placeOf(recorded, index, parent ?? nowhere);
    const phase = event.kind === "backward" || event.kind === "engine" ? "backward" : (parent?.phase ?? "forward");
    result.push({ ...event, module, span, phase, forward: forwardOf(recorded) });
  }
  return result;
}

/** Operators of a thread that may have made graph nodes. */
class Makers {
  readonly #events: { sequence: number; index: number }[] = [];

  add(sequence: number, index: number): void {
    this.#events.push({ sequence, index });
  }

  sort(): void {
    this.#events.sort((a, b) => a.sequence - b.sequence || a.index - b.index);
  }

  /**
   * Index of the operator that made the node of a number; -1 when it was not recorded. An operator is recorded with the
   * number that the next node will have, and may make several nodes. The maker is therefore the last operator with this
   * number or, if there is none, with the nearest number below.
   */
  of(sequence: number): number {
    let [low, high] = [0, this.#events.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#events[middle]?.sequence ?? Number.POSITIVE_INFINITY) <= sequence) low = middle + 1;
      else high = middle;
    }
    return this.#events[low - 1]?.index ?? -1;
  }
}

function makersOf(events: readonly RecordedEvent[]): Map<number, Makers> {
  const makers = new Map<number, Makers>();
  for (const [index, { kind, sequence, thread }] of events.entries()) {
    if (kind !== "operator" || sequence < 0) continue;
    const found = makers.get(thread) ?? new Makers();
    makers.set(thread, found);
    found.add(sequence, index);
  }
  for (const found of makers.values()) found.sort();
  return makers;
}
