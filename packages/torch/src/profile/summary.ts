// A profile in figures: self times by operator, and by module as a tree.
import type { Profile, ProfileEvent } from "./event.js";

/** Time of each event without that of the events inside of it, nanoseconds, in the order of `events`. */
export function selfTimes(events: readonly ProfileEvent[]): Float64Array {
  const self = Float64Array.from(events, ({ start, end }) => end - start);
  for (const { parent, start, end } of events) if (parent >= 0) self[parent] -= end - start;
  return self;
}

export interface OperatorTime {
  name: string;
  phase: "forward" | "backward";
  /** A call inside a call of the same name is not counted, here and in `total`. */
  calls: number;
  /** Nanoseconds without operators inside of it, and with them. */
  self: number;
  total: number;
  /** Of the whole recording's time. */
  share: number;
}

/** Operators and backward nodes by self time, longest first. An operator's calls in backward count apart from those in forward. */
export function byOperator({ events, nanoseconds }: Profile): OperatorTime[] {
  const self = selfTimes(events);
  const rows = new Map<string, OperatorTime>();
  const within = (event: ProfileEvent): boolean => {
    for (let at = event.parent; at >= 0; at = events[at].parent)
      if (events[at].name === event.name && events[at].phase === event.phase && isWork(events[at])) return true;
    return false;
  };
  events.forEach((event, i) => {
    if (!isWork(event)) return;
    const key = `${event.phase} ${event.name}`;
    const row = rows.get(key) ?? { name: event.name, phase: event.phase, calls: 0, self: 0, total: 0, share: 0 };
    rows.set(key, row);
    row.self += self[i];
    if (within(event)) return;
    row.calls++;
    row.total += event.end - event.start;
  });
  for (const row of rows.values()) row.share = row.self / nanoseconds;
  return [...rows.values()].sort((a, b) => b.self - a.self || (a.name < b.name ? -1 : 1));
}

const isWork = ({ kind }: ProfileEvent): boolean => kind === "operator" || kind === "backward";

export interface ModuleTime {
  /** Last part of the path; of a root the class of the module, or the spans' name for what runs outside of modules. */
  name: string;
  /** Module path, or null outside of modules. */
  path: string | null;
  /** Forwards that ran; 0 for a name in between that is no module of its own, such as `layers`. */
  calls: number;
  /** Self times of everything that belongs to exactly this place. */
  self: { forward: number; backward: number };
  /** With everything below. */
  total: { forward: number; backward: number };
  /** Part of `total` spent outside of operators: dispatch, JavaScript, the walk over the graph. */
  between: number;
  /** Total over the whole recording's time. */
  share: number;
  children: ModuleTime[];
}

/**
 * The tree of modules with the time that belongs to each, beside it the spans with what runs outside of modules. Roots and children are in the order in which they
 * first ran. Only the thread that called {@link profile} knows modules; other threads' work counts where the graph tells its module, and under `null` elsewhere.
 */
export function byModule({ events, nanoseconds }: Profile): ModuleTime[] {
  const self = selfTimes(events);
  const roots = new Map<string, Node>();
  const rootNames = new Map<string, string>();
  for (const { kind, module, name } of events) if (kind === "module" && module === "" && !rootNames.has("")) rootNames.set("", name);
  const nodeOf = (event: ProfileEvent): Node => {
    if (event.module === null) {
      const parts = event.span === null ? ["(outside of modules)"] : event.span.split("/");
      let node = child(roots, `span ${parts[0]}`, parts[0], null);
      for (const part of parts.slice(1)) node = child(node.children, part, part, null);
      return node;
    }
    let node = child(roots, "module", rootNames.get("") ?? "(root)", "");
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
    node.self[event.phase] += self[i];
    if (!isWork(event)) node.between += self[i];
    if (event.kind === "module" || (event.kind === "span" && event.module === null)) node.calls++;
  });
  return [...roots.values()].map((node) => finish(node, nanoseconds));
}

interface Node {
  name: string;
  path: string | null;
  calls: number;
  self: { forward: number; backward: number };
  between: number;
  children: Map<string, Node>;
}

function child(of: Map<string, Node>, key: string, name: string, path: string | null): Node {
  const found = of.get(key) ?? { name, path, calls: 0, self: { forward: 0, backward: 0 }, between: 0, children: new Map() };
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
  return { name, path, calls, self, total, between, share: (total.forward + total.backward) / nanoseconds, children: below };
}
