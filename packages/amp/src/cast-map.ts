// The cast map: which operators ran in which dtype in which module, and what the casts cost.
import { nn, type Tensor } from "@rfdetr/torch";
import { type OperatorEvent, observe } from "./observe.js";
import { quietOperators } from "./policy.js";
import { floatingTensors, placeName } from "./tensors.js";
import { formatBytes, textTable } from "./text.js";

/** Calls of one operator in one module with the same dtypes. */
export interface CastMapRow {
  path: string;
  operator: string;
  /**
   * Dtypes of the floating arguments as the operator received them, each once; what it computes in when there is one.
   */
  inputs: string;
  output: string;
  /** A half product computed on rounded float32 operands. */
  emulated: boolean;
  calls: number;
}

/** Conversions of one kind in one module. */
export interface CastRow {
  path: string;
  from: string;
  to: string;
  /**
   * `weight`: of a parameter, cached until it changes; `inside`: of a weight as its product reads it; `activation`: by
   * the policy; `explicit`: written in the model's code.
   */
  what: "weight" | "inside" | "activation" | "explicit";
  casts: number;
  /** Bytes written; of weights inside products none. */
  bytes: number;
}

/**
 * Records every operator that computes while {@link CastMap.watch} runs, and every change of dtype. Forward only:
 * backward runs inside libtorch, in the dtypes of the forward.
 * @example
 * import { Autocast, CastMap } from "@rfdetr/amp";
 * const map = new CastMap();
 * map.watch(() => new Autocast("bf16-mixed").run(() => model.call(images)));
 * console.log(map.rows);
 */
export class CastMap {
  readonly #rows = new Map<string, CastMapRow>();
  readonly #casts = new Map<string, CastRow>();

  watch<T>(body: () => T): T {
    const stop = observe((event) => this.#see(event));
    try {
      return body();
    } finally {
      stop();
    }
  }

  get rows(): CastMapRow[] {
    return [...this.#rows.values()];
  }
  get casts(): CastRow[] {
    return [...this.#casts.values()];
  }
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
    if (quietOperators.has(event.op.base)) return;
    const names = (tensors: Tensor[]): string => [...new Set(tensors.map((t) => t.dtype))].sort().join("+");
    const inputs = names(floatingTensors(event.args));
    const output = names(floatingTensors(event.result));
    if (inputs === "" && output === "") return;
    const key = `${path} ${event.op.base} ${inputs} ${output} ${event.by}`;
    const row = this.#rows.get(key);
    if (row === undefined)
      this.#rows.set(key, {
        path,
        operator: event.op.base,
        inputs: event.by === "emulated" || event.by === "masters" ? output : inputs,
        output,
        emulated: event.by === "emulated",
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

  /** One line for each operator and dtype, summed over modules; then the casts. */
  table(): string {
    const operators = sumBy(
      this.rows,
      (r) => `${r.operator}\t${r.inputs}${r.emulated ? " (emulated)" : ""}\t${r.output}`,
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
        ["operator", "inputs", "output", "calls"],
        operators.map(([key, sum]) => [...key.split("\t"), String(sum.count)]),
      ),
      textTable(
        ["cast of", "from", "to", "casts", "written"],
        casts.map(([key, sum]) => [...key.split("\t"), String(sum.count), formatBytes(sum.bytes)]),
      ),
      `${count} casts write ${formatBytes(bytes)} in one forward`,
    ].join("\n\n");
  }

  /**
   * Modules as a tree down to `depth`, each with the operators that ran in and below it by input dtype, and its casts.
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

class TreeNode {
  readonly children = new Map<string, TreeNode>();
  readonly calls = new Map<string, number>();
  casts = 0;
  bytes = 0;
  constructor(readonly name: string) {}

  /** This node and those on the way to a path, made where missing. */
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

  lines(first: string, rest: string): string[] {
    const calls = [...this.calls]
      .sort((a, b) => b[1] - a[1])
      .map(([dtype, count]) => `${dtype} ${count}`)
      .join(", ");
    const own = `${first}${this.name || "all"}  ${calls}${this.casts > 0 ? `; ${this.casts} casts, ${formatBytes(this.bytes)}` : ""}`;
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

/** Calls or casts with the same key, and the bytes that they write. */
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
