// The policy: what autocast does with each operator. One table for every device, because libtorch's own CPU and CUDA
// lists differ and a model would otherwise mean two things.
import { ops } from "@rfdetr/torch";
import { PolicyError } from "./errors.js";
import { nearest } from "./nearest.js";

/**
 * `lower`: floating arguments go down to half. `fp32`: half arguments go up. `widest`: all take the widest dtype among
 * them. `keep`: nothing is cast; libtorch's type promotion decides.
 */
export type CastRule = "lower" | "fp32" | "widest" | "keep";
/** What may happen to an operator: `lower`, `fp32`, `widest`, `keep`. */
export const castRules: readonly CastRule[] = ["lower", "fp32", "widest", "keep"];

/**
 * Rule of a whole module: one {@link CastRule} for all its operators, `bf16` (the policy, with bfloat16 as the half
 * type: range where float16 overflows), `bf16x3` (`fp32`, but linear layers sum three bfloat16 products, with sixteen
 * bits of each factor, where the CPU has units for them), or `policy` (no exception, inside of a module that is one).
 */
export type ModuleRule = CastRule | "bf16" | "bf16x3" | "policy";
/** What an override may ask of a module. */
export const moduleRules: readonly ModuleRule[] = [...castRules, "bf16", "bf16x3", "policy"];

/** Module path pattern → rule for everything inside; `*` stands for one path segment, `**` for any number. */
export type Overrides = Readonly<Record<string, ModuleRule>>;

/** Rule of one operator, with its reason. */
export interface PolicyRow {
  rule: CastRule;
  reason: string;
}

/** A table: operator to rule and reason. */
export interface Policy {
  name: string;
  /** By operator base name; operators not listed are kept. */
  rows: ReadonlyMap<string, PolicyRow>;
}

type Group = readonly [rule: CastRule, reason: string, operators: string];

function policy(name: string, groups: readonly Group[]): Policy {
  return {
    name,
    rows: new Map(
      groups.flatMap(([rule, reason, operators]) => operators.split(" ").map((op) => [op, { rule, reason }] as const)),
    ),
  };
}

const products: Group = [
  "lower",
  "matrix products are where half precision pays: the units multiply half operands and sum in float32",
  "linear grouped_linear matmul mm bmm addmm addbmm baddbmm addmv mv chain_matmul einsum conv1d conv2d conv3d convolution conv_transpose1d conv_transpose2d conv_transpose3d scaled_dot_product_attention attention attention_composed prelu",
];

const quiet: readonly Group[] = [
  [
    "keep",
    "only where and how elements lie in memory changes",
    "view reshape flatten unflatten permute transpose t expand repeat unsqueeze squeeze narrow slice select split split_with_sizes chunk unbind contiguous clone detach flip roll alias unfold",
  ],
  [
    "keep",
    "moves values without computing",
    "gather index index_select masked_fill embedding take_along_dim scatter index_fill masked_select",
  ],
  [
    "keep",
    "compares, counts or tests",
    "eq ne lt le gt ge logical_and logical_or logical_not isfinite isnan isinf any all bitwise_and bitwise_or item",
  ],
  [
    "keep",
    "makes a tensor",
    "zeros_like ones_like empty_like full_like new_empty new_zeros new_ones new_full zeros ones empty full arange linspace rand randn randperm scalar_tensor lift_fresh",
  ],
  ["keep", "an explicit conversion means what it says", "_to_copy to copy"],
];

const kept: readonly Group[] = [
  ...quiet,
  [
    "keep",
    "elementwise with operands at hand: libtorch promotes to the wider of them, and one rounding is the error",
    "add sub mul div neg abs rsub square floor round ceil sign remainder floor_divide",
  ],
  [
    "keep",
    "elementwise and bounded: computed in float32 inside the kernel, one rounding, half the bytes kept for backward",
    "gelu silu relu sigmoid tanh sin cos dropout hardswish sqrt",
  ],
  [
    "keep",
    "picks elements, rounds nothing",
    "clamp clamp_min clamp_max maximum minimum max min amax amin argmax argmin max_pool2d",
  ],
  [
    "keep",
    "places, weights and sums are float32 inside the operator whatever it is given; half maps and projections cost one rounding each and half the bytes",
    "deformable_attention deformable_attention_composed",
  ],
  ["keep", "runs only where each of its layers would be lowered, with inputs that are", "mlp mlp_composed"],
];

/** Operators that only lay out, move, compare, convert or make values: instruments look past them. */
export const quietOperators: ReadonlySet<string> = new Set(quiet.flatMap(([, , operators]) => operators.split(" ")));

/** Our own table. docs/precision.md has the measurements behind the rows that differ from PyTorch's CUDA list. */
export const defaultPolicy: Policy = policy("default", [
  products,
  ...kept,
  [
    "fp32",
    "norms feed every product after them: on the detector's projector, the only norms that see half, raising them takes a seventh off the encoder's error for one percent more saved bytes and no time",
    "layer_norm native_layer_norm group_norm batch_norm",
  ],
  ["keep", "a short mean sums in float32 inside the kernel and stays in the range of its elements", "mean avg_pool2d"],
  [
    "fp32",
    "exponentials and their sums span more than half can hold",
    "softmax _softmax log_softmax _log_softmax logsumexp exp expm1 log log1p log2 log10 softplus log_sigmoid pow rsqrt reciprocal erfinv",
  ],
  [
    "fp32",
    "a sum can leave the range of its elements, and a half result would round it",
    "sum cumsum cumprod prod norm linalg_vector_norm std var cdist dist",
  ],
  [
    "fp32",
    "losses decide the direction of every gradient",
    "binary_cross_entropy_with_logits binary_cross_entropy cross_entropy_loss nll_loss l1_loss mse_loss smooth_l1_loss huber_loss kl_div",
  ],
  [
    "fp32",
    "half coordinates are off by pixels, and libtorch's CPU kernel is three times slower in half",
    "grid_sampler grid_sampler_2d grid_sampler_3d",
  ],
  [
    "fp32",
    "interpolation weights need more than eight bits",
    "upsample_bilinear2d upsample_bicubic2d _upsample_bicubic2d_aa _upsample_bilinear2d_aa upsample_nearest2d",
  ],
  ["fp32", "ranks decide what meets what; rounding makes ties", "topk sort argsort"],
  [
    "widest",
    "parts of one tensor must agree",
    "cat stack addcmul addcdiv index_put where lerp cross dot tensordot scatter_add bilinear atan2",
  ],
]);

/** PyTorch's CUDA autocast lists, for comparison. */
export const cudaPolicy: Policy = policy("pytorch-cuda", [
  ...kept,
  [
    "keep",
    "on none of PyTorch's CUDA lists",
    "mean topk sort argsort where max_pool2d avg_pool2d log_sigmoid batch_norm std var upsample_nearest2d lerp",
  ],
  [products[0], "on PyTorch's CUDA half-precision list", products[2]],
  [
    "fp32",
    "on PyTorch's CUDA float32 list",
    "layer_norm native_layer_norm group_norm softmax _softmax log_softmax _log_softmax logsumexp exp expm1 log log1p log2 log10 pow rsqrt reciprocal erfinv softplus sum cumsum cumprod prod norm linalg_vector_norm cdist dist " +
      "binary_cross_entropy_with_logits cross_entropy_loss nll_loss l1_loss mse_loss smooth_l1_loss huber_loss kl_div upsample_bilinear2d upsample_bicubic2d _upsample_bicubic2d_aa _upsample_bilinear2d_aa",
  ],
  [
    "widest",
    "on PyTorch's CUDA promotion list",
    "cat stack grid_sampler grid_sampler_2d grid_sampler_3d addcmul addcdiv index_put scatter_add atan2 cross bilinear dot tensordot",
  ],
]);

/** The policies that a setting can name. */
export const policies: Readonly<Record<string, Policy>> = { default: defaultPolicy, "pytorch-cuda": cudaPolicy };

/** @throws PolicyError for an unknown name */
export function policyByName(name: string): Policy {
  const named = Object.hasOwn(policies, name) ? policies[name] : undefined;
  if (named === undefined)
    throw new PolicyError(`Expected one of ${Object.keys(policies).join(", ")} for policy but received ${name}`);
  return named;
}

/** Where two policies treat an operator differently: what an ablation switches one by one. */
export function policyDifferences(a: Policy, b: Policy): { operator: string; a: CastRule; b: CastRule }[] {
  return [...new Set([...a.rows.keys(), ...b.rows.keys()])]
    .map((operator) => ({ operator, a: a.rows.get(operator)?.rule ?? "keep", b: b.rows.get(operator)?.rule ?? "keep" }))
    .filter((row) => row.a !== row.b);
}

/**
 * A policy with some operators changed.
 * @param changes by ATen base name (`layer_norm`)
 * @throws PolicyError for an operator that neither the policy nor libtorch knows (with near matches), or an unknown
 * rule
 */
export function withOperators(base: Policy, changes: Readonly<Record<string, CastRule>>): Policy {
  if (Object.keys(changes).length === 0) return base;
  const rows = new Map(base.rows);
  for (const [operator, rule] of Object.entries(changes)) {
    if (!castRules.includes(rule))
      throw new PolicyError(
        `Expected one of ${castRules.join(", ")} for the operator ${operator} but received ${String(rule)}`,
      );
    if (!rows.has(operator) && !isOperator(operator)) {
      const near = nearest(operator, [...rows.keys()]);
      throw new PolicyError(
        `Expected an operator of libtorch for the policy but received ${operator}${near.length > 0 ? `; near it are ${near.join(", ")}` : ""}`,
      );
    }
    rows.set(operator, { rule, reason: "set by the user" });
  }
  return { name: `${base.name}, changed`, rows };
}

function isOperator(base: string): boolean {
  const camel = base.replace(/(?<=[a-z0-9])_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return /^[a-z_0-9]+$/.test(base) && Object.hasOwn(ops, camel);
}
