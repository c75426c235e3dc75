// The cast map: which operators ran in which dtypes in which modules, and what the casts cost.
import { nn, type Tensor } from "@rfdetr/torch";
import { activeAutocast } from "../autocast/autocast.js";
import type { CastRule } from "../names.js";
import { type OperatorEvent, observe } from "../observe.js";
import { quietOperators } from "../policy/policy.js";
import { floatingTensors, placeName } from "../tensors.js";
import { formatBytes, textTable } from "../text.js";

/** Calls of one operator in one module with the same dtypes. */
export interface CastMapRow {
  /** The path of the module; `(model)` for the root, `(outside of modules)` where no module ran. */
  path: string;
  /** The base name of the operator, such as `linear`. */
  operator: string;
  /**
   * The dtypes of the floating-point arguments as the operator received them, each once, joined by `+`. Where the
   * operator rounds float32 arguments itself, the dtype that it rounds them to.
   */
  inputs: string;
  /** The dtypes of the floating-point results, each once, joined by `+`. */
  output: string;
  /** Whether it is a product that was computed on rounded float32 operands. */
  emulated: boolean;
  /** The rule that the operator followed. */
  rule: CastRule;
  /** Why it has this rule: the reason of the policy, or the override that holds. */
  reason: string;
  /** The number of calls. */
  calls: number;
}

/** Casts of one kind in one module, from one dtype to another. */
export interface CastRow {
  /** The path of the module, as in {@link CastMapRow}. */
  path: string;
  from: string;
  to: string;
  /**
   * What was cast.
   * - `weight`: a parameter. The copy is cached until the parameter changes.
   * - `inside`: a weight that its product rounds as it reads it. No copy is made.
   * - `activation`: another tensor, by the policy.
   * - `explicit`: any tensor, by the model's own code.
   */
  what: "weight" | "inside" | "activation" | "explicit";
  /** The number of casts. */
  casts: number;
  /** Bytes that the casts wrote; 0 for `inside`. */
  bytes: number;
}

/**
 * Records every operator and every cast while {@link CastMap.watch} runs. It sees the forward only: backward runs
 * inside libtorch, in the dtypes of the forward.
 * @example
 * import { Autocast, CastMap } from "@rfdetr/amp";
 * const map = new CastMap();
 * map.watch(() => new Autocast("bf16-mixed").run(() => model.call(images)));
 * console.log(map.rows);
 */
export class CastMap {
  readonly #rows = new Map<string, CastMapRow>();
  readonly #casts = new Map<string, CastRow>();

  /** Runs `body`, records its operators and returns its result. Several runs add up. */
  watch<T>(body: () => T): T {
    const stop = observe((event) => this.#see(event));
    try {
      return body();
    } finally {
      stop();
    }
  }

  /** The operators that ran, in order of their first call. */
  get rows(): CastMapRow[] {
    return [...this.#rows.values()];
  }
  /** The casts that were made, in order of the first of each kind. */
  get casts(): CastRow[] {
    return [...this.#casts.values()];
  }
  /** The number of all casts, and the bytes that they wrote. */
  get total(): { casts: number; bytes: number } {
    return this.casts.reduce((sum, row) => ({ casts: sum.casts + row.casts, bytes: sum.bytes + row.bytes }), {
      casts: 0,
      bytes: 0,
    });
  }

  #see(event: OperatorEvent): void {
    const path = placeName(event.module?.path ?? null);
    if (event.op.base === "_to_copy") this.#copied(event, path);
    if (event.by === "masters") {
      const weights = floatingTensors(event.args.slice(1)).filter((tensor) => tensor.dtype === "float32");
      for (const weight of weights) this.#cast(path, weight.dtype, (event.result as Tensor).dtype, "inside", 0);
    }
    if (event.rounded !== undefined)
      this.#cast(path, "float32", event.rounded.dtype, "activation", event.rounded.nbytes);
    if (quietOperators.has(event.op.base)) return;
    const names = (tensors: Tensor[]): string => [...new Set(tensors.map((t) => t.dtype))].sort().join("+");
    const inputs = names(floatingTensors(event.args));
    const output = names(floatingTensors(event.result));
    if (inputs === "" && output === "") return;
    const why = activeAutocast()?.why(event.op, event.module) ?? withoutRules;
    const key = `${path} ${event.op.base} ${inputs} ${output} ${event.by} ${why.rule} ${why.reason}`;
    const row = this.#rows.get(key);
    if (row === undefined)
      this.#rows.set(key, {
        path,
        operator: event.op.base,
        inputs: event.by === "emulated" || event.by === "masters" ? output : inputs,
        output,
        emulated: event.by === "emulated",
        rule: why.rule,
        reason: why.reason,
        calls: 1,
      });
    else row.calls++;
  }

  #copied(event: OperatorEvent, path: string): void {
    const source = event.args[0] as Tensor;
    const result = event.result as Tensor;
    if (source.dtype === result.dtype || !source.isFloatingPoint || !result.isFloatingPoint) return;
    const what = event.by !== "cast" ? "explicit" : source instanceof nn.Parameter ? "weight" : "activation";
    this.#cast(path, source.dtype, result.dtype, what, result.nbytes);
  }

  #cast(path: string, from: string, to: string, what: CastRow["what"], bytes: number): void {
    const key = `${path} ${from} ${to} ${what}`;
    let row = this.#casts.get(key);
    if (row === undefined) {
      row = { path, from, to, what, casts: 0, bytes: 0 };
      this.#casts.set(key, row);
    }
    row.casts++;
    row.bytes += bytes;
  }

  /**
   * The map as text: a table of operators by dtype with the reasons for their rules, and a table of casts, both summed
   * over modules.
   */
  table(): string {
    const operators = sumBy(
      this.rows,
      (r) => `${r.operator}\t${r.inputs}${r.emulated ? " (emulated)" : ""}\t${r.output}\t${r.rule}`,
      (r) => ({ count: r.calls, bytes: 0 }),
    );
    const casts = sumBy(
      this.casts,
      (r) => `${r.what}\t${r.from}\t${r.to}`,
      (r) => ({ count: r.casts, bytes: r.bytes }),
    );
    const { casts: count, bytes } = this.total;
    return [
      textTable(
        ["operator", "inputs", "output", "rule", "calls"],
        operators.map(([key, sum]) => [...key.split("\t"), String(sum.count)]),
      ),
      reasonsOf(this.rows).join("\n"),
      textTable(
        ["cast of", "from", "to", "casts", "written"],
        casts.map(([key, sum]) => [...key.split("\t"), String(sum.count), formatBytes(sum.bytes)]),
      ),
      ...(this.casts.some(({ what }) => what === "inside")
        ? ["inside: weights that their product rounds as it reads them; no copy is written"]
        : []),
      `${counted(count, "cast")} ${count === 1 ? "writes" : "write"} ${formatBytes(bytes)} in one forward`,
    ].join("\n\n");
  }

  /**
   * The map as text: the tree of modules down to `depth` levels. Each line shows the calls in and below a module by
   * input dtype, and the casts.
   */
  tree(depth = 4): string {
    const root = new TreeNode("");
    for (const row of this.rows)
      for (const node of root.walk(row.path, depth))
        node.calls.set(row.inputs || row.output, (node.calls.get(row.inputs || row.output) ?? 0) + row.calls);
    for (const row of this.casts) {
      for (const node of root.walk(row.path, depth)) {
        node.casts += row.casts;
        node.bytes += row.bytes;
      }
    }
    return root.lines("", "").join("\n");
  }
}

const withoutRules = { rule: "keep", reason: "no autocast is active" } as const;

/** A line for each reason, with the operators that it holds for, and one that says what emulated products are. */
function reasonsOf(rows: readonly CastMapRow[]): string[] {
  const operators = new Map<string, Set<string>>();
  for (const { rule, reason, operator } of rows) {
    const key = `${rule}\t${reason}`;
    operators.set(key, (operators.get(key) ?? new Set()).add(operator));
  }
  const lines = [...operators].map(([key, of]) => key.replace("\t", `: ${[...of].join(", ")}: `));
  if (rows.some(({ emulated }) => emulated))
    lines.push("emulated: float32 operands rounded to the dtype, since this CPU has no fast product in it");
  return lines.sort();
}

const counted = (count: number, one: string): string => `${count} ${count === 1 ? one : `${one}s`}`;

class TreeNode {
  readonly children = new Map<string, TreeNode>();
  readonly calls = new Map<string, number>();
  casts = 0;
  bytes = 0;
  constructor(readonly name: string) {}

  /** This node and the nodes below it along a path, at most `depth` of them. Missing nodes are added. */
  walk(path: string, depth: number): TreeNode[] {
    const nodes: TreeNode[] = [this];
    let above: TreeNode = this;
    for (const segment of (path.startsWith("(") ? [path] : path.split(".")).slice(0, depth)) {
      let node = above.children.get(segment);
      if (node === undefined) {
        node = new TreeNode(segment);
        above.children.set(segment, node);
      }
      nodes.push(node);
      above = node;
    }
    return nodes;
  }

  /** This node and all below it, a line each. `first` begins the line of this node, `rest` the lines below it. */
  lines(first: string, rest: string): string[] {
    const calls = [...this.calls]
      .sort((a, b) => b[1] - a[1])
      .map(([dtype, count]) => `${dtype} ${count}`)
      .join(", ");
    const own = `${first}${this.name || "all"}  ${calls}${this.casts > 0 ? `; ${counted(this.casts, "cast")}, ${formatBytes(this.bytes)}` : ""}`;
    const children = [...this.children.values()];
    return [
      own,
      ...children.flatMap((child, i) =>
        child.lines(
          `${rest}${i === children.length - 1 ? "└─ " : "├─ "}`,
          `${rest}${i === children.length - 1 ? "   " : "│  "}`,
        ),
      ),
    ];
  }
}

/** The number of calls or casts with the same key, and the bytes that they wrote. */
interface Sum {
  count: number;
  bytes: number;
}

function sumBy<T>(rows: readonly T[], keyOf: (row: T) => string, sumOf: (row: T) => Sum): [key: string, sum: Sum][] {
  const sums = new Map<string, Sum>();
  for (const row of rows) {
    const key = keyOf(row);
    const { count, bytes } = sumOf(row);
    const before = sums.get(key) ?? { count: 0, bytes: 0 };
    sums.set(key, { count: before.count + count, bytes: before.bytes + bytes });
  }
  return [...sums].sort(([a, x], [b, y]) => y.count - x.count || a.localeCompare(b));
}
