// `--threshold`: a number for all classes, and numbers for single ones.
import type { Selection } from "../../predict/selection.js";
import { numeric, share } from "../context.js";

/**
 * The thresholds of `0.4` and `heron=0.3`, which may come in any order.
 * @throws UsageError
 */
export function thresholdsOf(values: readonly string[]): NonNullable<Selection["threshold"]> {
  let all: number | undefined;
  const single: [name: string, threshold: number][] = [];
  for (const value of values) {
    const at = value.lastIndexOf("=");
    const name = value.slice(0, Math.max(at, 0));
    if (name === "") all = share("threshold", numeric(value));
    else single.push([name, share(`threshold of ${name}`, numeric(value.slice(at + 1)))]);
  }
  const usual = all ?? 0.5;
  return single.length === 0 ? usual : Object.fromEntries([["*", usual], ...single]);
}
