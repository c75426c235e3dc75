// A profile as tables.
import type { ModuleRow, OperatorRow, ProfileFigures } from "../../instruments/profile.js";

const ms = (value: number): string => value.toFixed(1);
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** Calls per step: a whole number, unless the steps differ. */
const count = (calls: number): string =>
  calls === 0 ? "" : Number.isInteger(calls) ? String(calls) : calls.toFixed(1);

/** A table to print. */
export interface Table {
  header: string[];
  rows: string[][];
  /** Titles of columns that a narrow terminal does without, in this order. */
  dispensable: string[];
}

/** The time of each phase of a step. */
export function phaseTable(phases: ProfileFigures["phases"]): Table {
  const rows = phases.map(({ name, milliseconds, share }) => [name, ms(milliseconds), percent(share)]);
  return { header: ["phase", "ms", "share"], rows, dispensable: [] };
}

/** The operators that take the most time, and one row for the rest. */
export function operatorTable(operators: readonly OperatorRow[], top: number): Table {
  const rest = operators.slice(top);
  const sum = (of: (row: OperatorRow) => number): number => rest.reduce((total, row) => total + of(row), 0);
  return {
    header: ["operator", "", "calls", "self ms", "total ms", "share"],
    rows: [
      ...operators
        .slice(0, top)
        .map((row) => [row.name, row.phase, count(row.calls), ms(row.self_ms), ms(row.total_ms), percent(row.share)]),
      ...(rest.length === 0
        ? []
        : [
            [
              `${rest.length} more`,
              "",
              count(sum(({ calls }) => calls)),
              ms(sum(({ self_ms }) => self_ms)),
              "",
              percent(sum(({ share }) => share)),
            ],
          ]),
    ],
    dispensable: ["total ms", "calls"],
  };
}

/**
 * The tree of modules down to a depth, without modules that take less than the share `smallest` of the time. Numbered
 * siblings, such as the layers of the encoder, share one row, and a name without siblings joins its parent's.
 */
export function moduleTable(modules: readonly ModuleRow[], depth: number, smallest: number): Table {
  const trains = modules.some(({ total_ms }) => total_ms.backward > 0);
  const rows: string[][] = [];
  const add = (node: ModuleRow, level: number): void => {
    const [shown, name] = joined(node);
    if (shown.share < smallest) return;
    const { total_ms: total, between_ms, calls, share } = shown;
    const backward = trains ? [ms(total.backward)] : [];
    rows.push([
      `${"  ".repeat(level)}${name}`,
      count(calls),
      ms(total.forward),
      ...backward,
      ms(between_ms),
      percent(share),
    ]);
    if (level + 1 < depth) for (const child of numbered(shown.children)) add(child, level + 1);
  };
  for (const root of modules) add(root, 0);
  return {
    header: ["module", "calls", "forward ms", ...(trains ? ["backward ms"] : []), "outside operators", "share"],
    rows,
    dispensable: ["outside operators", "calls"],
  };
}

/** Joins names that are not modules and have a single child with that child, all the way down. */
function joined(node: ModuleRow): [ModuleRow, string] {
  let [shown, name] = [node, node.name];
  for (
    let below = numbered(shown.children);
    shown.calls === 0 && below.length === 1;
    below = numbered(shown.children)
  ) {
    [shown] = below;
    name += `.${shown.name}`;
  }
  return [shown, name];
}

/** Merges children whose names are numbers and whose own children have the same names into one row of sums. */
function numbered(children: readonly ModuleRow[]): readonly ModuleRow[] {
  const below = (node: ModuleRow): string => node.children.map(({ name }) => name).join(" ");
  if (children.length < 2 || !children.every((node) => /^\d+$/.test(node.name) && below(node) === below(children[0])))
    return children;
  const names = children.map(({ name }) => Number(name));
  return [{ ...sumOf(children), name: `${Math.min(...names)}–${Math.max(...names)}` }];
}

function sumOf(nodes: readonly ModuleRow[]): ModuleRow {
  const sum = (of: (node: ModuleRow) => number): number => nodes.reduce((total, node) => total + of(node), 0);
  const both = (key: "self_ms" | "total_ms") => ({
    forward: sum((n) => n[key].forward),
    backward: sum((n) => n[key].backward),
  });
  const names = [...new Set(nodes.flatMap(({ children }) => children.map(({ name }) => name)))];
  return {
    ...nodes[0],
    calls: sum(({ calls }) => calls),
    self_ms: both("self_ms"),
    total_ms: both("total_ms"),
    between_ms: sum(({ between_ms }) => between_ms),
    share: sum(({ share }) => share),
    children: names.map((name) =>
      sumOf(nodes.flatMap(({ children }) => children.filter((child) => child.name === name))),
    ),
  };
}
