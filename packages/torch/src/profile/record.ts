// Records what runs: every operator, backward node, module and span of a synchronous body, thread by thread.
import type { DType } from "../dtype.js";
import { TorchError } from "../errors.js";
import { currentModule, type RunningModule, watchModules } from "../module-stack.js";
import { native, type RecordedThread } from "../native.js";
import { isThenable } from "../thenable.js";
import { attribute } from "./attribute.js";
import type { Profile, ProfileEvent, RecordedEvent, TensorShape } from "./event.js";

/**
 * A profile was begun inside of another one, or its body is asynchronous.
 * What to do: end the other one first; profile a body that returns no promise.
 */
export class ProfileError extends TorchError {
  readonly code = "ERR_PROFILE";
}

interface Mark {
  kind: "module" | "span";
  name: string;
  path: string | null;
}

/**
 * Modules and spans of the running recording; the recorder names them by their index. Null while nothing is recorded.
 */
let marks: Mark[] | null = null;
let indices = new Map<RunningModule | string, number>();

function enter(key: RunningModule | string): void {
  if (marks === null) return;
  let index = indices.get(key);
  if (index === undefined) {
    index = marks.length;
    marks.push(
      typeof key === "string"
        ? { kind: "span", name: key, path: null }
        : { kind: "module", name: key.constructor.name, path: key.path },
    );
    indices.set(key, index);
  }
  native.profileEnter(index);
}

/**
 * Gives what `body` does a name in a profile. Its cost is negligible when nothing is recorded.
 *
 * @example
 * const loss = span("loss", () => criterion.compute(outputs, targets, { training: true }));
 */
export function span<T>(name: string, body: () => T): T {
  if (marks === null) return body();
  enter(name);
  try {
    return body();
  } finally {
    native.profileLeave();
  }
}

/**
 * Runs `body` and records the operators of all threads of the process, and the modules and spans of this thread. An
 * error that `body` throws ends the recording and passes unchanged.
 * @param options `shapes` records the dtypes and shapes of the operators' tensors as well, which takes some time
 * @throws ProfileError when a profile is running already, or when `body` returns a promise, whose work is not recorded
 *
 * @example
 * const { profile: recorded } = profile(step);
 * for (const { name, calls, self } of byOperator(recorded).slice(0, 10)) console.log(name, calls, self / 1e6, "ms");
 */
export function profile<T>(body: () => T, options: { shapes?: boolean } = {}): { result: T; profile: Profile } {
  if (marks !== null) throw new ProfileError("Expected no profile to be running but one is: profiles cannot be nested");
  native.profileStart(options.shapes ?? false);
  marks = [];
  indices = new Map();
  watchModules({ enter, leave: () => native.profileLeave() });
  let recorded: ReturnType<typeof native.profileStop>;
  let names: Mark[];
  let result: T;
  try {
    const around = currentModule();
    if (around !== null) enter(around);
    result = body();
  } finally {
    names = marks;
    marks = null;
    indices = new Map();
    watchModules(null);
    recorded = native.profileStop();
  }
  if (isThenable(result))
    throw new ProfileError(
      "Expected a synchronous body for profile but received one that returns a promise: what it awaits is not recorded",
    );
  const events: RecordedEvent[] = [];
  for (const [index, thread] of recorded.threads.entries()) {
    // The recorder counts parents within their thread.
    const first = events.length;
    for (const event of decode(thread, index, names))
      events.push(event.parent < 0 ? event : { ...event, parent: event.parent + first });
  }
  return {
    result,
    profile: {
      events: attribute(events),
      nanoseconds: recorded.nanoseconds,
      threads: recorded.threads.length,
      dropped: recorded.threads.reduce((sum, { dropped }) => sum + dropped, 0),
    },
  };
}

/**
 * An event as the recorder writes it. Names, inputs and outputs are places in the thread's other lists; -1 for none.
 */
type Row = [
  kind: number,
  name: number,
  start: number,
  end: number,
  parent: number,
  sequence: number,
  inputs: number,
  outputs: number,
  forwardThread: number,
];
const columns: Row["length"] = 9;

function decode(from: RecordedThread, thread: number, marks: readonly Mark[]): RecordedEvent[] {
  const { events, names, shapes } = from;
  const tensors = (place: number) => (place < 0 ? null : decodeShapes(shapes, place, names));
  return Array.from({ length: events.length / columns }, (_, i): RecordedEvent => {
    const row = events.subarray(i * columns, (i + 1) * columns) as unknown as Row;
    const [kind, name, start, end, parent, sequence, inputs, outputs, forwardThread] = row;
    const what = kind === 2 ? (marks[name] as Mark) : { ...named(kind === 1, names[name] as string), path: null };
    const seen = { inputs: tensors(inputs), outputs: tensors(outputs) };
    return { ...what, start, end, thread, parent, sequence, forwardThread, ...seen };
  });
}

/**
 * The tensors at a place of `shapes`: the count of numbers that follow, then for each tensor its dtype, rank and sizes.
 */
function decodeShapes(shapes: Float64Array, place: number, names: readonly string[]): TensorShape[] {
  const found: TensorShape[] = [];
  const count = shapes[place] ?? 0;
  let rest = shapes.subarray(place + 1, place + 1 + count);
  while (rest.length > 0) {
    const [dtype = 0, rank = 0] = rest;
    found.push({ dtype: names[dtype] as DType, shape: [...rest.subarray(2, 2 + rank)] });
    rest = rest.subarray(2 + rank);
  }
  return found;
}

/**
 * What the recorder's name of an operator or a node stands for. A node written in C++ has the name of its class:
 * `torch::autograd::CppNode<rfdetr::(anonymous namespace)::Linear>` is LinearBackward.
 */
function named(backward: boolean, name: string): Pick<ProfileEvent, "kind" | "name"> {
  const engine = /^autograd::engine::(\w+)/.exec(name)?.[1];
  if (engine !== undefined) return { kind: "engine", name: engine };
  if (!backward) return { kind: "operator", name };
  const own = /CppNode<(?:.*::)?(\w+)>/.exec(name)?.[1];
  return { kind: "backward", name: own === undefined ? name.replace(/^torch::autograd::/, "") : `${own}Backward` };
}
