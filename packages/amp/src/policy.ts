// The policy: what autocast does with each operator. One table for every device, because libtorch's own CPU and CUDA lists
// differ and a model would otherwise mean two things.

/**
 * `lower`: floating arguments go down to half. `fp32`: half arguments go up. `widest`: all take the widest dtype among them.
 * `keep`: nothing is cast; libtorch's type promotion decides.
 */
export type CastRule = "lower" | "fp32" | "widest" | "keep";

export interface PolicyRow {
  rule: CastRule;
  reason: string;
}

export interface Policy {
  name: string;
  /** By operator base name; operators not listed are kept. */
  rows: ReadonlyMap<string, PolicyRow>;
}

function policy(name: string, rows: readonly (readonly [rule: CastRule, reason: string, ...operators: string[]])[]): Policy {
  return { name, rows: new Map(rows.flatMap(([rule, reason, ...operators]) => operators.map((op) => [op, { rule, reason }] as const))) };
}

const products = [
  "lower",
  "matrix products are where half precision pays: the units multiply half operands and sum in float32",
  "linear", "matmul", "mm", "bmm", "addmm", "addbmm", "baddbmm", "addmv", "mv", "chain_matmul", "einsum",
  "conv1d", "conv2d", "conv3d", "convolution", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "scaled_dot_product_attention", "attention",
] as const;

/** Our own table. */
export const defaultPolicy: Policy = policy("default", [
  products,
  ["keep", "half in, half out, with float32 statistics inside the kernel: the saved input is half as large, the error that of one rounding", "layer_norm", "group_norm", "native_layer_norm"],
  ["keep", "elementwise, monotone and computed in float32 inside the kernel: one rounding, half the bytes kept for backward", "gelu", "silu", "relu", "sigmoid", "tanh", "dropout", "max_pool2d", "avg_pool2d"],
  ["fp32", "exponentials and their sums span more than half can hold", "softmax", "_softmax", "log_softmax", "_log_softmax", "logsumexp", "exp", "expm1", "log", "log1p", "log2", "log10", "softplus", "log_sigmoid", "pow", "rsqrt", "reciprocal", "erfinv"],
  ["fp32", "long sums lose small addends in half", "sum", "cumsum", "cumprod", "prod", "mean", "norm", "linalg_vector_norm", "std", "var", "cdist", "dist"],
  ["fp32", "losses and box geometry decide the gradient's direction", "binary_cross_entropy_with_logits", "cross_entropy_loss", "nll_loss", "l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss", "kl_div"],
  ["fp32", "sampling: half coordinates are off by pixels, and the CPU kernel is three times slower in half", "grid_sampler", "grid_sampler_2d"],
  ["fp32", "interpolation weights need more than eight bits", "upsample_bilinear2d", "upsample_bicubic2d", "_upsample_bicubic2d_aa", "_upsample_bilinear2d_aa"],
  ["fp32", "rank decides which learned query meets which proposal; rounding makes ties", "topk", "sort", "argsort"],
  ["widest", "parts of one tensor must agree", "cat", "stack", "addcmul", "addcdiv", "index_put", "where", "lerp", "cross", "dot", "tensordot", "scatter_add", "bilinear", "atan2"],
]);

/** PyTorch's CUDA autocast lists, for comparison. Norms and softmax go up, which doubles what they save for backward. */
export const cudaPolicy: Policy = policy("pytorch-cuda", [
  [...products, "prelu"],
  ["fp32", "on PyTorch's CUDA float32 list", "layer_norm", "native_layer_norm", "group_norm", "softmax", "_softmax", "log_softmax", "_log_softmax", "logsumexp", "exp", "expm1", "log", "log1p", "log2", "log10", "pow", "rsqrt", "reciprocal", "erfinv", "softplus",
    "sum", "cumsum", "cumprod", "prod", "norm", "linalg_vector_norm", "cdist", "dist", "binary_cross_entropy_with_logits", "cross_entropy_loss", "nll_loss", "l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss", "kl_div",
    "upsample_bilinear2d", "upsample_bicubic2d", "_upsample_bicubic2d_aa", "_upsample_bilinear2d_aa"],
  ["widest", "on PyTorch's CUDA promotion list", "cat", "stack", "grid_sampler", "grid_sampler_2d", "addcmul", "addcdiv", "index_put", "scatter_add", "atan2", "cross", "bilinear", "dot", "tensordot"],
]);

export const policies: Readonly<Record<string, Policy>> = { default: defaultPolicy, "pytorch-cuda": cudaPolicy };

/** Module path pattern → rule for everything inside; `*` stands for one path segment, `**` for any number. */
export type Overrides = Readonly<Record<string, CastRule>>;

export class PolicyError extends Error {
  readonly code = "ERR_POLICY";
  constructor(message: string) {
    super(message);
    this.name = "PolicyError";
  }
}

/** A pattern matches a module's path or that of any module around it. */
export function pathPattern(pattern: string): RegExp {
  const body = pattern
    .split(".")
    .map((segment) => (segment === "**" ? ".*" : segment.replace(/[\\^$+?()[\]{}|]/g, "\\$&").replaceAll("*", "[^.]*")))
    .join("\\.")
    .replaceAll(".*\\.", "(?:.*\\.)?");
  return new RegExp(`^${body}(?:\\.|$)`);
}

/**
 * Checks override patterns against a model's module paths and rules against the four known ones.
 * @throws PolicyError for a pattern that matches nothing, with near matches, or an unknown rule
 */
export function checkOverrides(overrides: Overrides, paths: readonly string[]): void {
  for (const [pattern, rule] of Object.entries(overrides)) {
    if (!["lower", "fp32", "widest", "keep"].includes(rule)) throw new PolicyError(`Expected one of lower, fp32, widest, keep for the override of ${pattern} but received ${String(rule)}`);
    const expression = pathPattern(pattern);
    if (paths.some((path) => expression.test(path))) continue;
    const wanted = new Set(pattern.split(/[.*]+/).filter(Boolean));
    const near = paths
      .map((path) => [path, path.split(".").filter((segment) => wanted.has(segment) || [...wanted].some((w) => w.length > 3 && (segment.startsWith(w.slice(0, 4)) || w.startsWith(segment)))).length] as const)
      .filter(([, score]) => score > 0)
      .sort((a, b) => b[1] - a[1] || a[0].length - b[0].length)
      .slice(0, 3)
      .map(([path]) => path);
    throw new PolicyError(`Expected a pattern that matches a module for an override but received ${pattern}, which matches none${near.length > 0 ? `; near it are ${near.join(", ")}` : ""}`);
  }
}

/** A policy with some operators changed. @throws PolicyError for an operator that the policy does not list, with near matches */
export function withOperators(base: Policy, changes: Readonly<Record<string, CastRule>>): Policy {
  const rows = new Map(base.rows);
  for (const [operator, rule] of Object.entries(changes)) {
    if (!rows.has(operator)) {
      const near = [...rows.keys()].filter((name) => name.includes(operator.slice(0, 4)) || operator.includes(name)).slice(0, 4);
      throw new PolicyError(`Expected an operator of the ${base.name} policy but received ${operator}${near.length > 0 ? `; near it are ${near.join(", ")}` : ""}`);
    }
    rows.set(operator, { rule, reason: "set by the user" });
  }
  return { name: base.name, rows };
}
