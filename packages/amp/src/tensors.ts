// Tensors among the arguments and results of operators.
import { Tensor } from "@rfdetr/torch";

/** Floating tensors in an argument list or a result, those inside lists included. */
export function floatingTensors(values: unknown): Tensor[] {
  if (values instanceof Tensor) return values.isFloatingPoint ? [values] : [];
  return Array.isArray(values) ? values.flatMap(floatingTensors) : [];
}

/** How instruments name the place of an operator call. */
export function placeName(path: string | null): string {
  if (path === null) return "(outside of modules)";
  return path === "" ? "(model)" : path;
}
