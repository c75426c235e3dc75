// Constants in another floating-point dtype.
import { scope, tensor } from "@rfdetr/torch";
import { InternalError } from "../../support/errors.js";
import type { ConstantData, ElementType, Graph, Value } from "../graph/graph.js";

/** The low precision of a file. */
export type LowPrecision = "float16" | "bfloat16";

/** Largest finite number of each. */
export const largest: Readonly<Record<LowPrecision, number>> = { float16: 65504, bfloat16: 3.3895e38 };

/** A float32 constant rounded to nearest, ties to even. It keeps its shape; its name says the dtype. */
export function convertConstant(graph: Graph, value: Value, dtype: LowPrecision): Value {
  const { data, shape } = value;
  if (!(data instanceof Float32Array)) throw new InternalError(`Expected a float32 constant in ${value.name}`);
  const bits = scope(() => tensor(data).to(dtype).toBits()) as ConstantData;
  return graph.constant(`${value.name}.${dtype}`, dtype, shape as number[], bits);
}

/** Largest magnitude of a float32 constant. */
export function magnitude({ data }: Value): number {
  let found = 0;
  for (const each of data as Float32Array) if (Math.abs(each) > found) found = Math.abs(each);
  return found;
}

/** Whether a dtype is one that a pass may change. */
export function isFloat(dtype: ElementType): boolean {
  return dtype === "float32" || dtype === "float16" || dtype === "bfloat16";
}
