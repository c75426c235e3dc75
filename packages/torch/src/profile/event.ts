// The types of a recording.
import type { DType } from "../dtype.js";

/** A tensor as a profile knows it. */
export interface TensorShape {
  dtype: DType;
  shape: number[];
}

/** Something that ran. Times are nanoseconds since the recording began. */
export interface ProfileEvent {
  /**
   * `operator`: a call of libtorch's dispatcher. `backward`: a node of the graph. `engine`: the walk over the graph
   * (`backward`, `gradients`) and its work around a node (`evaluate_function`). `module`: a module's forward. `span`: a
   * body that {@link span} named.
   */
  readonly kind: "operator" | "backward" | "engine" | "module" | "span";
  /** Operator (`aten::addmm`), node (`AddmmBackward0`), class of a module, or the span's own name. */
  readonly name: string;
  readonly start: number;
  readonly end: number;
  /** Its thread; 0 is the one that called `profile`. */
  readonly thread: number;
  /** Index of the event of the same thread that this one ran inside of; -1 when there is none. */
  readonly parent: number;
  /**
   * Path of the module that the work belongs to: `""` for the root, null outside of modules. A backward node belongs to
   * the module whose forward made it.
   */
  readonly module: string | null;
  /** Spans around it, outermost first, joined by `/`; null outside of spans. */
  readonly span: string | null;
  readonly phase: "forward" | "backward";
  /**
   * Number of a graph node: for a backward node its own, for an operator called with autograd on the one that it made
   * if it made one; -1 otherwise.
   */
  readonly sequence: number;
  /**
   * Index of the operator that made this backward node; -1 for all other events, and when the operator was not
   * recorded.
   */
  readonly forward: number;
  /** The operator's input and output tensors, those in lists too; null unless asked for. */
  readonly inputs: readonly TensorShape[] | null;
  readonly outputs: readonly TensorShape[] | null;
}

/** What `profile` recorded. */
export interface Profile {
  /** Ordered by thread, then by start; an event comes before those inside of it. */
  readonly events: readonly ProfileEvent[];
  /** Duration of the recording. */
  readonly nanoseconds: number;
  readonly threads: number;
  /** Events dropped because the buffer was full; the recording keeps its beginning. */
  readonly dropped: number;
}

/** An event as it was recorded, before it is known which work it belongs to. */
export type RecordedEvent = Omit<ProfileEvent, "module" | "span" | "phase" | "forward"> & {
  /** Path of a module's event; null for all others. */
  readonly path: string | null;
  /** Thread in which the forward of a backward node ran; -1 for other events and when it is unknown. */
  readonly forwardThread: number;
};
