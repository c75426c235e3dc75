// Initialisers: they write into a tensor, outside of autograd, and return it. They draw from the default generator.
import { noGrad } from "../autograd.js";
import * as ops from "../ops.generated.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";

const inPlace =
  (body: (t: Tensor) => void) =>
  (t: Tensor): Tensor => {
    noGrad(() =>
      scope(() => {
        body(t);
      }),
    );
    return t;
  };

/** One value everywhere. */
export const constant_ = (t: Tensor, value: number): Tensor => inPlace((x) => x.fill_(value))(t);
/** Zeros. */
export const zeros_ = (t: Tensor): Tensor => constant_(t, 0);
/** Uniform on [low, high). */
export const uniform_ = (t: Tensor, low = 0, high = 1): Tensor =>
  inPlace((x) => ops.uniform_(x, { from: low, to: high }))(t);
/** Normal with a mean and a standard deviation. */
export const normal_ = (t: Tensor, mean = 0, std = 1): Tensor => inPlace((x) => ops.normal_(x, { mean, std }))(t);

/**
 * Fan in and fan out of a weight `[out, in, …kernel]`: the inputs of an output element, and the outputs of an input
 * element.
 */
function fans(t: Tensor): [fanIn: number, fanOut: number] {
  const [out = 1, input = 1, ...kernel] = t.shape;
  const field = kernel.reduce((a, b) => a * b, 1);
  return [input * field, out * field];
}

/** Uniform on ±gain·√(6 / (fan in + fan out)) (Glorot and Bengio 2010), as torch.nn.init.xavier_uniform_. */
export function xavierUniform_(t: Tensor, gain = 1): Tensor {
  const [fanIn, fanOut] = fans(t);
  const bound = gain * Math.sqrt(6 / (fanIn + fanOut));
  return uniform_(t, -bound, bound);
}

/**
 * Uniform on ±√(6 / ((1 + a²)·fan in)) (He et al. 2015). With a = √5 it is PyTorch's default for linear and conv
 * weights.
 */
export function kaimingUniform_(t: Tensor, a = Math.sqrt(5)): Tensor {
  const bound = Math.sqrt(6 / ((1 + a * a) * fans(t)[0]));
  return uniform_(t, -bound, bound);
}

/**
 * Normal, truncated to [low, high]: uniform numbers through the inverse of the distribution function, as
 * torch.nn.init.trunc_normal_.
 */
export function truncNormal_(t: Tensor, mean = 0, std = 1, low = -2, high = 2): Tensor {
  return inPlace((x) => {
    const cdf = (v: number): number => (1 + erf((v - mean) / std / Math.SQRT2)) / 2;
    ops.uniform_(x, { from: 2 * cdf(low) - 1, to: 2 * cdf(high) - 1 });
    // One uniform number in 2^24 is exactly -1, whose inverse is infinite: with wide bounds a weight would be at the
    // bound.
    const edge = 1 - 2 ** -24;
    ops.clamp_(x, { min: -edge, max: edge });
    ops.erfinv_(x);
    x.mul_(std * Math.SQRT2).add_(mean);
    ops.clamp_(x, { min: low, max: high });
  })(t);
}

/** Error function to float32 accuracy (Abramowitz and Stegun 7.1.26). */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const polynomial = 0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)));
  const tail = t * polynomial * Math.exp(-x * x);
  return x < 0 ? tail - 1 : 1 - tail;
}
