// Whose work an event is: module, spans and phase, for backward those of the forward that made the node.
import type { ProfileEvent, RecordedEvent } from "./event.js";

interface Place {
  module: string | null;
  span: string | null;
}

const nowhere: Place = { module: null, span: null };

/**
 * Gives every event its module, spans, phase and, if it is a backward node, the operator that made it. Events stand by thread, and after those
 * that they ran inside of.
 *
 * A leaf's accumulation of its gradient is no operator's backward: it belongs where the node before it does, which is the one that made the gradient.
 * What the engine does around a node belongs where the node does.
 */
export function attribute(events: readonly RecordedEvent[]): ProfileEvent[] {
  const makers = makersOf(events);
  const result: ProfileEvent[] = [];
  /** Where the last node of a thread belonged. */
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
    const parent = event.parent < 0 ? null : result[event.parent];
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
   * Index of the operator that made the node of that number, -1 where it was not recorded. An operator is recorded with the number that the next node
   * will have: its maker is the last one that began with this number, or, since an operator may make several nodes, with the nearest below.
   */
  of(sequence: number): number {
    let [low, high] = [0, this.#events.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#events[middle].sequence <= sequence) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? -1 : this.#events[low - 1].index;
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
