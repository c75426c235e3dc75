// Counts the floating-point operations of matrix operators as they are dispatched.
import { type Call, decompositionOf, intercept, Tensor } from "@rfdetr/torch";

const size = (value: unknown): number[] => (value instanceof Tensor ? value.shape : []);
const product = (list: readonly number[]): number => list.reduce((a, b) => a * b, 1);

/** A multiply-add counts as two operations. Only operators that make up practically all of the work are counted. */
function flopsOf({ op, args }: Call, result: unknown): number {
  switch (op.name) {
    case "aten::linear":
    case "rfdetr::grouped_linear":
    case "aten::matmul":
    case "aten::bmm":
    case "aten::mm":
      return 2 * product(size(result)) * (size(args[0]).at(-1) ?? 0);
    case "aten::baddbmm":
    case "aten::addmm":
      return 2 * product(size(result)) * (size(args[1]).at(-1) ?? 0);
    case "aten::conv2d":
    case "aten::convolution":
      return 2 * product(size(result)) * product(size(args[1]).slice(1));
    case "aten::conv_transpose2d":
      return 2 * product(size(args[0])) * product(size(args[1]).slice(1));
    case "aten::scaled_dot_product_attention":
      return 4 * product(size(args[0])) * (size(args[1]).at(-2) ?? 0);
    // The layout is [batch, tokens, heads, width]: tokens are the third axis from the end.
    case "rfdetr::attention":
    case "rfdetr::attention_composed":
      return 4 * product(size(args[0])) * (size(args[1]).at(-3) ?? 0);
    default:
      return 0;
  }
}

/**
 * Runs `body` and counts the floating-point operations of its matrix products, convolutions and attentions. Backward
 * runs inside libtorch and is not counted.
 */
export function countFlops(body: () => void): number {
  let total = 0;
  const remove = intercept((call, next) => {
    const decomposition = decompositionOf(call.op);
    if (decomposition !== undefined) return decomposition.run(call.args);
    const result = next(call.args);
    total += flopsOf(call, result);
    return result;
  });
  try {
    body();
  } finally {
    remove();
  }
  return total;
}
