// Linear layers in a number format, forward and backward.
import { graphNode, isGradEnabled, keep, noGrad, scope, type Tensor } from "@rfdetr/torch";
import { unobserved } from "../observe.js";
import type { NumberFormat } from "./number-format.js";
import { type Rounded, roundMatrix } from "./round.js";

/**
 * A linear layer whose products have operands in a number format and float32 sums. A product sums over the last
 * dimension of both operands, and their blocks run along it. So backward rounds weights and activations again, along
 * other dimensions than forward: the gradient of the input sums over the outputs, that of the weight over the rows.
 * The bias and its gradient are not rounded.
 * @param input `[…, in]`
 * @param weight `[out, in]`
 * @returns `[…, out]` in the dtype of the input
 */
export function linearInFormat(input: Tensor, weight: Tensor, bias: Tensor | null, format: NumberFormat): Tensor {
  const inputs = bias === null ? [input, weight] : [input, weight, bias];
  const result = unobserved(() => noGrad(() => scope(() => forward(input, weight, bias, format))));
  if (!isGradEnabled() || !inputs.some(({ requiresGrad }) => requiresGrad)) return result;
  // The caller's scope ends before backward.
  const [x, w] = keep([input.detach(), weight.detach()]) as [Tensor, Tensor];
  const wanted = inputs.map(({ requiresGrad }) => requiresGrad);
  const [joined] = graphNode(inputs, [result], ([gradient]) => {
    if (gradient === null || gradient === undefined) return wanted.map(() => null);
    const found = unobserved(() => noGrad(() => scope(() => backward(gradient, x, w, wanted, format))));
    for (const tensor of [x, w]) tensor.dispose();
    return found;
  });
  return joined as Tensor;
}

/** `[rows, columns]` of a tensor whose last dimension is the columns. */
const rowsOf = (x: Tensor): Tensor => x.float().reshape([-1, x.shape.at(-1) as number]);

function forward(input: Tensor, weight: Tensor, bias: Tensor | null, format: NumberFormat): Tensor {
  const round = (matrix: Tensor): Rounded => roundMatrix(matrix, format.forward, format);
  const sums = product(round(rowsOf(input)), round(weight.float()));
  const shifted = bias === null ? sums : sums.add(bias.float());
  return shifted.reshape([...input.shape.slice(0, -1), weight.shape[0] as number]).to(input.dtype);
}

/** @returns the gradients of input, weight and, where there is one, bias; null for those that nobody wants */
function backward(
  gradient: Tensor,
  input: Tensor,
  weight: Tensor,
  [ofInput, ofWeight, ofBias]: readonly boolean[],
  format: NumberFormat,
): (Tensor | null)[] {
  const rows = rowsOf(gradient);
  const round = (matrix: Tensor): Rounded => roundMatrix(matrix, format.forward, format);
  const roundGradient = (matrix: Tensor): Rounded => roundMatrix(matrix, format.backward, format);
  // With one scale for the whole tensor, its transpose has the same values.
  const once = format.scaling.per === "tensor" ? roundGradient(rows) : null;
  const columns = (): Rounded =>
    once === null ? roundGradient(rows.t()) : { ...once, values: once.values.t().contiguous() };
  const toInput = () =>
    product(once ?? roundGradient(rows), round(weight.float().t()))
      .reshape(input.shape)
      .to(input.dtype);
  const toWeight = () => product(columns(), round(rowsOf(input).t())).to(weight.dtype);
  return [
    ofInput ? scope(toInput) : null,
    ofWeight ? scope(toWeight) : null,
    ...(ofBias === undefined ? [] : [ofBias ? rows.sum(0) : null]),
  ];
}

/** The product of `[rows, in]` and `[out, in]`, with the scales of both. */
function product(a: Rounded, b: Rounded): Tensor {
  const sums = a.values.matmul(b.values.t());
  const scaled = a.scale === null ? sums : sums.mul(a.scale);
  return b.scale === null ? scaled : scaled.mul(b.scale.ndim === 2 ? b.scale.t() : b.scale);
}
