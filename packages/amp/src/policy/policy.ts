// The policy: what autocast does with each operator. One table serves every device. libtorch has different lists for
// CPU and CUDA; with them, the dtypes of a model would depend on the device.
import { ops } from "@rfdetr/torch";
import { PolicyError } from "../errors.js";
import { type CastRule, castRules, type ModuleRule, type policyNames } from "../names.js";
import { nearest } from "./nearest.js";

/**
 * Rules by path pattern. A rule holds for the modules that match and for all modules inside them. `*` stands for one
 * path segment, `**` for any number of segments.
 */
export type Overrides = Readonly<Record<string, ModuleRule>>;

/** The rule of one operator, and the reason for it. */
export interface PolicyRow {
  rule: CastRule;
  /** Why the operator has this rule: a sentence fragment. */
  reason: string;
}

/** A table of operators with their rules. */
export interface Policy {
  /** The name that a setting uses for it. */
  name: string;
  /** The rules by base name of the operator. Operators that are not listed are kept. */
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
  "matrix units multiply low-precision operands and sum in float32: low precision gains the most speed here",
  "linear grouped_linear matmul mm bmm addmm addbmm baddbmm addmv mv chain_matmul einsum conv1d conv2d conv3d convolution conv_transpose1d conv_transpose2d conv_transpose3d scaled_dot_product_attention attention attention_composed prelu",
];

/** Rows of operators that instruments skip. */
const quiet: readonly Group[] = [
  [
    "keep",
    "changes only the layout in memory",
    "view reshape flatten unflatten permute transpose t expand repeat unsqueeze squeeze narrow slice select split split_with_sizes chunk unbind contiguous clone detach flip roll alias unfold",
  ],
  [
    "keep",
    "moves values without computing",
    "gather index index_select masked_fill embedding take_along_dim scatter index_fill masked_select",
  ],
  [
    "keep",
    "compares, counts or tests values",
    "eq ne lt le gt ge logical_and logical_or logical_not isfinite isnan isinf any all bitwise_and bitwise_or item",
  ],
  [
    "keep",
    "creates a tensor",
    "zeros_like ones_like empty_like full_like new_empty new_zeros new_ones new_full zeros ones empty full arange linspace rand randn randperm scalar_tensor lift_fresh",
  ],
  ["keep", "an explicit conversion has the dtype that its caller asks for", "_to_copy to copy"],
];

/** Rows of the operators that every policy keeps. */
const kept: readonly Group[] = [
  ...quiet,
  [
    "keep",
    "elementwise: libtorch promotes the operands to the wider dtype and rounds the result once",
    "add sub mul div neg abs rsub square floor round ceil sign remainder floor_divide",
  ],
  [
    "keep",
    "elementwise: the kernel computes in float32 and rounds the result once; low precision halves the bytes kept for backward",
    "gelu silu relu sigmoid tanh sin cos dropout hardswish sqrt",
  ],
  [
    "keep",
    "selects elements without rounding them",
    "clamp clamp_min clamp_max maximum minimum max min amax amin argmax argmin max_pool2d",
  ],
  [
    "keep",
    "the kernel computes locations, weights and sums in float32; low-precision maps and projections cost one rounding each and take half the bytes",
    "deformable_attention deformable_attention_composed",
  ],
  ["keep", "runs fused only where the policy lowers each of its layers", "mlp mlp_composed"],
];

/** Operators that only lay out, move, compare, convert or create values. Instruments skip them. */
export const quietOperators: ReadonlySet<string> = new Set(quiet.flatMap(([, , operators]) => operators.split(" ")));

/**
 * The policy of this package. docs/precision-measured.md has the measurements behind the rows that differ from
 * PyTorch's CUDA lists.
 */
export const defaultPolicy: Policy = policy("default", [
  products,
  ...kept,
  [
    "fp32",
    "norms feed all products after them: float32 norms in the detector's projector reduce the encoder's error by a seventh, for 1 % more bytes kept for backward and no extra time",
    "layer_norm grouped_layer_norm native_layer_norm group_norm batch_norm",
  ],
  ["keep", "the kernel sums in float32, and a mean stays in the range of its elements", "mean avg_pool2d"],
  [
    "fp32",
    "exponentials, logarithms and powers span a wider range than float16 holds and need more digits than bfloat16 has",
    "softmax _softmax log_softmax _log_softmax logsumexp exp expm1 log log1p log2 log10 softplus log_sigmoid pow rsqrt reciprocal erfinv",
  ],
  [
    "fp32",
    "a sum can leave the range of its elements, and low precision would round it",
    "sum cumsum cumprod prod norm linalg_vector_norm std var cdist dist",
  ],
  [
    "fp32",
    "errors of the loss reach every gradient",
    "binary_cross_entropy_with_logits binary_cross_entropy cross_entropy_loss nll_loss l1_loss mse_loss smooth_l1_loss huber_loss kl_div",
  ],
  [
    "fp32",
    "low-precision coordinates are wrong by whole pixels, and libtorch's CPU kernel is three times slower with them",
    "grid_sampler grid_sampler_2d grid_sampler_3d",
  ],
  [
    "fp32",
    "interpolation weights need more than the eight bits of bfloat16",
    "upsample_bilinear2d upsample_bicubic2d _upsample_bicubic2d_aa _upsample_bilinear2d_aa upsample_nearest2d",
  ],
  ["fp32", "rounding creates ties, which change the order", "topk sort argsort"],
  [
    "widest",
    "the arguments must have one dtype, and the widest loses nothing",
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
  [products[0], "on PyTorch's CUDA list for low precision", products[2]],
  [
    "fp32",
    "on PyTorch's CUDA list for float32",
    "layer_norm grouped_layer_norm native_layer_norm group_norm softmax _softmax log_softmax _log_softmax logsumexp exp expm1 log log1p log2 log10 pow rsqrt reciprocal erfinv softplus sum cumsum cumprod prod norm linalg_vector_norm cdist dist " +
      "binary_cross_entropy_with_logits cross_entropy_loss nll_loss l1_loss mse_loss smooth_l1_loss huber_loss kl_div upsample_bilinear2d upsample_bicubic2d _upsample_bicubic2d_aa _upsample_bilinear2d_aa",
  ],
  [
    "widest",
    "on PyTorch's CUDA list for the widest dtype",
    "cat stack grid_sampler grid_sampler_2d grid_sampler_3d addcmul addcdiv index_put scatter_add atan2 cross bilinear dot tensordot",
  ],
]);

/** The policies by the names that a setting uses. */
export const policies: Readonly<Record<(typeof policyNames)[number], Policy>> = {
  default: defaultPolicy,
  "pytorch-cuda": cudaPolicy,
};

/**
 * The policy with a name.
 * @throws PolicyError for an unknown name
 */
export function policyByName(name: string): Policy {
  const named = Object.hasOwn(policies, name) ? policies[name as keyof typeof policies] : undefined;
  if (named === undefined)
    throw new PolicyError(`Expected one of ${Object.keys(policies).join(", ")} for policy but received ${name}`);
  return named;
}

/**
 * A policy with the rules of some operators changed.
 * @param changes rules by base name of the operator, such as `layer_norm`
 * @throws PolicyError for an unknown rule, and for an operator that neither the policy nor libtorch knows; the message
 * names similar operators
 * @example
 * import { Autocast, defaultPolicy, withOperators } from "@rfdetr/amp";
 * const policy = withOperators(defaultPolicy, { gelu: "fp32" });
 * const autocast = new Autocast("bf16-mixed", { policy });
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
