// Recording what runs: every operator, backward node, module and span of a synchronous body, thread by thread.
import type { DType } from "../dtype.js";
import { TorchError } from "../errors.js";
import { currentModule, type RunningModule, watchModules } from "../module-stack.js";
import { native, type RecordedThread } from "../native.js";
import { attribute } from "./attribute.js";
import type { Profile, ProfileEvent, RecordedEvent, TensorShape } from "./event.js";

/** A profile inside of another one, or of an asynchronous body. */
export class ProfileError extends TorchError {
  constructor(message: string) {
    super("ERR_PROFILE", message);
  }
}

interface Mark {
  kind: "module" | "span";
  name: string;
  path: string | null;
}

/** Marks of the running recording; an event of the recorder names one by its number. Null while nothing is recorded. */
let marks: Mark[] | null = null;
let numbers = new Map<RunningModule | string, number>();

function enter(key: RunningModule | string): void {
  if (marks === null) return;
  let number = numbers.get(key);
  if (number === undefined) {
    number = marks.length;
    marks.push(
      typeof key === "string" ? { kind: "span", name: key, path: null } : { kind: "module", name: key.constructor.name, path: key.path },
    );
    numbers.set(key, number);
  }
  native.profileEnter(number);
}

/** Names what `body` does in a profile, such as `loss`; costs nothing worth mentioning while none is recorded. */
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
 * Runs `body` and records it. All threads of the process are recorded, modules and spans of this one.
 * @param options `shapes`: dtypes and shapes of the operators' tensors too, which costs some time
 * @throws ProfileError where a profile is running already, or where `body` returns a promise: what it awaits would not be recorded. What `body` throws
 * ends the recording and passes on.
 */
export function profile<T>(body: () => T, options: { shapes?: boolean } = {}): { result: T; profile: Profile } {
  if (marks !== null) throw new ProfileError("Expected no profile to be running but one is: profiles cannot be nested");
  native.profileStart(options.shapes ?? false);
  marks = [];
  numbers = new Map();
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
    numbers = new Map();
    watchModules(null);
    recorded = native.profileStop();
  }
  if (typeof (result as { then?: unknown } | null | undefined)?.then === "function")
    throw new ProfileError(
      "Expected a synchronous body for profile but received one that returns a promise: what it awaits is not recorded",
    );
  const events = recorded.threads.flatMap((thread, index) => decode(thread, index, names));
  // Parents are numbered within their thread.
  let base = 0;
  const firsts = recorded.threads.map(({ events }) => {
    const first = base;
    base += events.length / COLUMNS;
    return first;
  });
  const placed = events.map((event) => (event.parent < 0 ? event : { ...event, parent: event.parent + firsts[event.thread] }));
  return {
    result,
    profile: {
      events: attribute(placed),
      nanoseconds: recorded.nanoseconds,
      threads: recorded.threads.length,
      dropped: recorded.threads.reduce((sum, { dropped }) => sum + dropped, 0),
    },
  };
}

const COLUMNS = 9;

function decode(from: RecordedThread, thread: number, marks: readonly Mark[]): RecordedEvent[] {
  const { events, names, shapes } = from;
  return Array.from({ length: events.length / COLUMNS }, (_, i): RecordedEvent => {
    const [kind, name, start, end, parent, sequence, inputs, outputs, forwardThread] = events.subarray(i * COLUMNS, (i + 1) * COLUMNS);
    const mark = kind === 2 ? marks[name] : { ...named(kind === 1, names[name]), path: null };
    const tensors = (place: number) => (place < 0 ? null : decodeShapes(shapes, place, names));
    return { ...mark, start, end, thread, parent, sequence, forwardThread, inputs: tensors(inputs), outputs: tensors(outputs) };
  });
}

function decodeShapes(shapes: Float64Array, place: number, names: readonly string[]): TensorShape[] {
  const found: TensorShape[] = [];
  const end = place + 1 + shapes[place];
  for (let at = place + 1; at < end; ) {
    const dimensions = shapes[at + 1];
    found.push({ dtype: names[shapes[at]] as DType, shape: [...shapes.subarray(at + 2, at + 2 + dimensions)] });
    at += 2 + dimensions;
  }
  return found;
}

/** Nodes written in C++ are named by their class: `torch::autograd::CppNode<rfdetr::(anonymous namespace)::Linear>` is LinearBackward. */
function named(backward: boolean, name: string): Pick<ProfileEvent, "kind" | "name"> {
  const engine = /^autograd::engine::(\w+)/.exec(name);
  if (engine !== null) return { kind: "engine", name: engine[1] };
  if (!backward) return { kind: "operator", name };
  const own = /CppNode<(?:.*::)?(\w+)>/.exec(name);
  return { kind: "backward", name: own === null ? name.replace(/^torch::autograd::/, "") : `${own[1]}Backward` };
}
