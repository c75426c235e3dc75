// The types of a recording.
import type { DType } from "../dtype.js";

export interface TensorShape {
  dtype: DType;
  shape: number[];
}

/** Something that began and ended. Times are nanoseconds since the recording began. */
export interface ProfileEvent {
  /**
   * `operator`: a call of libtorch's dispatcher. `backward`: a node of the graph at work. `engine`: the walk over the graph (`backward`, `gradients`) and
   * what it does around a node (`evaluate_function`). `module`: a module's forward. `span`: what {@link span} named.
   */
  readonly kind: "operator" | "backward" | "engine" | "module" | "span";
  /** Operator (`aten::addmm`), node (`AddmmBackward0`), class of a module, or the span's own name. */
  readonly name: string;
  readonly start: number;
  readonly end: number;
  /** 0 is the thread that called {@link profile}. */
  readonly thread: number;
  /** Index of the event that this one ran inside of, in the same thread; -1 outside of all. */
  readonly parent: number;
  /** Path of the module that the work belongs to, `""` for the root; null outside of modules. A backward node belongs to the module whose forward made it. */
  readonly module: string | null;
  /** Spans around it, outermost first, joined by `/`; null outside of spans. */
  readonly span: string | null;
  readonly phase: "forward" | "backward";
  /** Of an operator called with autograd on: the number of the graph node that it made, if it made one. Of a backward node: its own. -1 otherwise. */
  readonly sequence: number;
  /** Index of the operator whose call made this backward node; -1 for everything else, and where that was not recorded. */
  readonly forward: number;
  /** The operator's input and output tensors, those in lists too; null unless asked for. */
  readonly inputs: readonly TensorShape[] | null;
  readonly outputs: readonly TensorShape[] | null;
}

export interface Profile {
  /** By thread, in each by start; an event stands before those inside of it. */
  readonly events: readonly ProfileEvent[];
  /** Of the whole recording. */
  readonly nanoseconds: number;
  readonly threads: number;
  /** Events dropped because the buffer was full; the recording keeps its beginning. */
  readonly dropped: number;
}

/** An event as it was recorded, before it is known what it belongs to. */
export type RecordedEvent = Omit<ProfileEvent, "module" | "span" | "phase" | "forward"> & {
  /** Path of a module's event; null for all others. */
  readonly path: string | null;
  /** Thread that a backward node's forward ran in; -1 where it is none or unknown. */
  readonly forwardThread: number;
};
