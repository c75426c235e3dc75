// Finds the tensors among the arguments and results of operators.
import { Tensor } from "@rfdetr/torch";

/** The floating-point tensors in a list of arguments or a result, those in nested lists included. */
export function floatingTensors(values: unknown): Tensor[] {
  if (values instanceof Tensor) return values.isFloatingPoint ? [values] : [];
  return Array.isArray(values) ? values.flatMap(floatingTensors) : [];
}

/**
 * The name of the place where an operator was called: the path of the module; `(model)` for the root, `(outside of
 * modules)` for null.
 */
export function placeName(path: string | null): string {
  if (path === null) return "(outside of modules)";
  return path === "" ? "(model)" : path;
}
