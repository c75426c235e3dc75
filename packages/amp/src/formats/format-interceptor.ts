// The interceptor of a number format: it stands behind autocast and computes the linear layers that are lowered.
import { type DType, decompositionOf, type Interceptor, operator, type Tensor } from "@rfdetr/torch";
import { isObserving } from "../observe.js";
import { linearInFormat } from "./format-linear.js";
import { type NumberFormatName, numberFormats } from "./number-format.js";

const linear = operator("aten::linear");
const mlp = operator("rfdetr::mlp");

/**
 * Computes linear layers in a number format.
 * @param dtype of the input of the layers that it concerns; those with another input run as they are
 * @param isActive whether it concerns the call that comes now
 */
export function formatInterceptor(name: NumberFormatName, dtype: DType, isActive: () => boolean): Interceptor {
  const format = numberFormats[name];
  return (call, next) => {
    if (isObserving() || !isActive()) return next(call.args);
    if (call.op === mlp) return decompositionOf(mlp)?.run(call.args);
    const [input, weight, bias] = call.args as [Tensor, Tensor, Tensor | null | undefined];
    if (call.op !== linear || input.dtype !== dtype) return next(call.args);
    return linearInFormat(input, weight, bias ?? null, format);
  };
}
