// Sums of a profile: times by operator, and by module as a tree.
import type { Profile, ProfileEvent } from "./event.js";

/**
 * Self time of each event, which is its time without the events inside of it: nanoseconds, in the order of `events`.
 */
export function selfTimes(events: readonly ProfileEvent[]): Float64Array {
  const self = Float64Array.from(events, ({ start, end }) => end - start);
  for (const { parent, start, end } of events) if (parent >= 0) self[parent] = (self[parent] ?? 0) - (end - start);
  return self;
}

/** Times of an operator or a backward node, nanoseconds. */
export interface OperatorTime {
  name: string;
  phase: "forward" | "backward";
  /** A call inside of a call of the same name does not count, here and in `total`. */
  calls: number;
  /** Without the operators inside of it. */
  self: number;
  /** With the operators inside of it. */
  total: number;
  /** `self` as a share of the whole recording. */
  share: number;
}

/**
 * Operators and backward nodes by self time, longest first. Calls of an operator in forward and in backward count
 * apart.
 */
export function byOperator({ events, nanoseconds }: Profile): OperatorTime[] {
  const self = selfTimes(events);
  const rows = new Map<string, OperatorTime>();
  const within = (event: ProfileEvent): boolean => {
    for (let around = events[event.parent]; around !== undefined; around = events[around.parent])
      if (around.name === event.name && around.phase === event.phase && isWork(around)) return true;
    return false;
  };
  events.forEach((event, i) => {
    if (!isWork(event)) return;
    const key = `${event.phase} ${event.name}`;
    const row = rows.get(key) ?? { name: event.name, phase: event.phase, calls: 0, self: 0, total: 0, share: 0 };
    rows.set(key, row);
    row.self += self[i] ?? 0;
    if (within(event)) return;
    row.calls++;
    row.total += event.end - event.start;
  });
  for (const row of rows.values()) row.share = row.self / nanoseconds;
  return [...rows.values()].sort((a, b) => b.self - a.self || (a.name < b.name ? -1 : 1));
}

const isWork = ({ kind }: ProfileEvent): boolean => kind === "operator" || kind === "backward";

/** Times of a module or a span, nanoseconds. */
export interface ModuleTime {
  /** Last part of the path; for a root the class of the module, and outside of modules the name of the span. */
  name: string;
  /** Module path, or null outside of modules. */
  path: string | null;
  /** Forwards that ran; 0 for a part of a path that is not a module itself, such as `layers`. */
  calls: number;
  /** Self times of all events that belong to exactly this place. */
  self: { forward: number; backward: number };
  /** `self` with everything below. */
  total: { forward: number; backward: number };
  /** Part of `total` spent outside of operators: dispatch, JavaScript, the walk over the graph. */
  between: number;
  /** `total` as a share of the whole recording. */
  share: number;
  children: ModuleTime[];
}

/**
 * The tree of modules with the time that belongs to each, and the spans with the work outside of modules. Roots and
 * children are in the order in which they first ran. Only the thread that called `profile` knows its modules. The
 * work of other threads counts for a module where the graph names one, and outside of modules otherwise.
 */
export function byModule({ events, nanoseconds }: Profile): ModuleTime[] {
  const self = selfTimes(events);
  const roots = new Map<string, Node>();
  const root = events.find(({ kind, module }) => kind === "module" && module === "")?.name ?? "(root)";
  const nodeOf = (event: ProfileEvent): Node => {
    if (event.module === null) {
      const [first = "", ...rest] = (event.span ?? "(outside of modules)").split("/");
      let node = child(roots, `span ${first}`, first, null);
      for (const part of rest) node = child(node.children, part, part, null);
      return node;
    }
    let node = child(roots, "module", root, "");
    if (event.module === "") return node;
    let path = "";
    for (const part of event.module.split(".")) {
      path = path === "" ? part : `${path}.${part}`;
      node = child(node.children, part, part, path);
    }
    return node;
  };
  events.forEach((event, i) => {
    const node = nodeOf(event);
    const time = self[i] ?? 0;
    node.self[event.phase] += time;
    if (!isWork(event)) node.between += time;
    if (event.kind === "module" || (event.kind === "span" && event.module === null)) node.calls++;
  });
  return [...roots.values()].map((node) => finish(node, nanoseconds));
}

interface Node extends Pick<ModuleTime, "name" | "path" | "calls" | "self" | "between"> {
  children: Map<string, Node>;
}

function child(of: Map<string, Node>, key: string, name: string, path: string | null): Node {
  const self = { forward: 0, backward: 0 };
  const found = of.get(key) ?? { name, path, calls: 0, self, between: 0, children: new Map() };
  of.set(key, found);
  return found;
}

function finish({ name, path, calls, self, between, children }: Node, nanoseconds: number): ModuleTime {
  const below = [...children.values()].map((node) => finish(node, nanoseconds));
  const total = { ...self };
  for (const node of below) {
    total.forward += node.total.forward;
    total.backward += node.total.backward;
    between += node.between;
  }
  const share = (total.forward + total.backward) / nanoseconds;
  return { name, path, calls, self, total, between, share, children: below };
}
