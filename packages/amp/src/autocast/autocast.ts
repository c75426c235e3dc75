// Autocast: an interceptor of operator calls that casts their arguments by the policy.
import {
  type Call,
  type DType,
  decompositionOf,
  intercept,
  isGradEnabled,
  type Next,
  nn,
  type Operator,
  operator,
  ops,
  setTf32,
  Tensor,
} from "@rfdetr/torch";
import { formatInterceptor } from "../formats/format-interceptor.js";
import type { NumberFormatName } from "../formats/number-format.js";
import { lowPrecisionOf, type Precision } from "../names.js";
import { hasObservers, isObserving, notify, type OperatorEvent, unobserved, whileCasting } from "../observe.js";
import { readHardware } from "../policy/hardware.js";
import { type Plan, Planner } from "../policy/plan.js";
import { defaultPolicy, type Overrides, type Policy, type PolicyRow } from "../policy/policy.js";
import { CastCache } from "./cast-cache.js";
import { agreesOnParts } from "./fused-rules.js";
import { type Norm, normOf } from "./norm.js";
import { emulate } from "./product-emulation.js";

/** Options of {@link Autocast}. */
export interface AutocastOptions {
  /** The rule of every operator; default {@link defaultPolicy}. */
  policy?: Policy;
  /** Rules of modules by path pattern; default none. Where several patterns match a module, the last one counts. */
  overrides?: Overrides;
  /**
   * Whether to compute float16 products as a tensor core does (operands rounded to float16, sums in float32, result
   * rounded to float16) instead of with the CPU's own float16 kernels. Default: true where the CPU has no float16
   * matrix units. On a GPU nothing is emulated.
   */
  emulateFloat16?: boolean;
  /**
   * Whether linear layers in bfloat16 on the CPU receive their float32 master weights. Their product then rounds the
   * weights as it reads them, and no bfloat16 copies exist. Default: true where `@rfdetr/torch` computes these products
   * with its own kernels.
   */
  masters?: boolean;
  /**
   * A number format that linear layers compute in, as a machine with such units would; default none. It concerns the
   * layers that the policy lowers; in `32-true` and `tf32`, all.
   */
  format?: NumberFormatName | null;
}

const linear = operator("aten::linear");
const mlp = operator("rfdetr::mlp");

let active: Autocast | null = null;
whileCasting(() => active !== null);

/**
 * Mixed precision (Micikevicius et al. 2018, arXiv:1710.03740) for everything that runs inside {@link Autocast.run}.
 *
 * Master weights stay in float32. Each is cast to `dtype` once; the copy is reused until the weight changes or until
 * {@link Autocast.clearCache}, which belongs after every optimizer step. Gradients flow back through the cast and reach
 * the master weights in float32. As in PyTorch, in-place operators, `out=` variants and float64 tensors are not cast.
 * Where one autocast runs inside another, only the inner one applies.
 *
 * A fused operator runs fused where the policy agrees with the rules that are built into it. Otherwise its parts run
 * one by one.
 * @example
 * import { Autocast } from "@rfdetr/amp";
 * const autocast = new Autocast("bf16-mixed", { overrides: { "decoder.norm": "fp32" } });
 * const outputs = autocast.run(() => model.call(images));
 */
export class Autocast {
  /** The precision that it was made for. */
  readonly precision: Precision;
  /** The dtype of matrix products: bfloat16 or float16; null in `32-true` and in `tf32`. */
  readonly dtype: DType | null;
  /** The rule of every operator. */
  readonly policy: Policy;
  /** Rules of modules by path pattern. */
  readonly overrides: Overrides;
  /** Whether float16 products are computed on rounded float32 operands. */
  readonly emulated: boolean;
  /** The number format of linear layers; null where there is none. */
  readonly format: NumberFormatName | null;
  readonly #masters: boolean;
  /** Whether products without autograd read packed weights. */
  readonly #packs: boolean;
  readonly #planner: Planner;
  readonly #casts = new CastCache();
  #remove: (() => void) | null = null;
  #suspended = 0;

  constructor(precision: Precision, options: AutocastOptions = {}) {
    this.precision = precision;
    this.dtype = lowPrecisionOf[precision];
    this.policy = options.policy ?? defaultPolicy;
    this.overrides = options.overrides ?? {};
    const emulateFloat16 = options.emulateFloat16 ?? !readHardware("cpu").fp16;
    this.emulated = this.dtype === "float16" && emulateFloat16;
    this.format = options.format ?? null;
    // A number format rounds weights where the product reads them, as kernels with packed weights do not.
    const kernels = ops.linearHasKernels(this.dtype === null ? "float32" : "bfloat16");
    this.#packs = kernels && this.format === null;
    this.#masters = options.masters ?? kernels;
    this.#planner = new Planner({
      policy: this.policy,
      overrides: this.overrides,
      dtype: this.dtype ?? "float32",
      emulateFloat16,
      // Without units for it, libtorch convolves bfloat16 at a hundredth of the rate of float32.
      emulateConvolutions: !readHardware("cpu").bf16,
      masters: this.#masters,
    });
  }

  /**
   * Runs `body`, which must be synchronous, under autocast and returns its result. In `32-true` and `tf32` it runs
   * without casts. Whether a GPU's float32 products use TF32 stays as the last `run` set it, because backward comes
   * after it: on in `tf32`, off otherwise.
   */
  run<T>(body: () => T): T {
    setTf32(this.precision === "tf32");
    if (this.dtype === null) return this.#runInFloat32(body);
    const outer = active;
    const suspended = this.#suspended;
    const installed = this.#remove === null;
    if (installed) this.#remove = this.#install();
    active = this;
    this.#suspended = 0;
    try {
      return body();
    } finally {
      active = outer;
      this.#suspended = suspended;
      if (installed) {
        this.#remove?.();
        this.#remove = null;
        this.#casts.forget();
      }
    }
  }

  /** The number format stands behind the casts: it sees which layers are lowered. @returns what removes both */
  #install(): () => void {
    const removeCasts = intercept(this.#intercept);
    if (this.format === null) return removeCasts;
    const isActive = (): boolean => active === this && this.#suspended === 0;
    const removeFormat = intercept(formatInterceptor(this.format, this.dtype as DType, isActive));
    return () => {
      removeFormat();
      removeCasts();
    };
  }

  /** Without autograd, weights are packed once for many products. */
  #runInFloat32<T>(body: () => T): T {
    if (this.format === null && (isGradEnabled() || !this.#packs)) return withoutAutocast(body);
    const remove = intercept(
      this.format === null
        ? this.#interceptInFloat32
        : formatInterceptor(this.format, "float32", () => active === null),
    );
    try {
      return withoutAutocast(body);
    } finally {
      remove();
    }
  }

  /**
   * Frees the copies of the weights. Call it when the weights have changed, or when the copies are not needed for a
   * while.
   */
  clearCache(): void {
    this.#casts.clear();
  }

  /** Bytes of the copies of weights that are held now. */
  get cachedBytes(): number {
    return this.#casts.bytes;
  }

  /** Runs `body` without casts and returns its result. Tensors that are already in low precision stay so. */
  suspend<T>(body: () => T): T {
    this.#suspended++;
    try {
      return body();
    } finally {
      this.#suspended--;
    }
  }

  /** The rule that an operator follows where it runs now, and the reason for it. */
  why(op: Operator, module: nn.RunningModule | null): PolicyRow {
    if (this.#suspended > 0) return { rule: "keep", reason: "autocast is suspended here" };
    return this.#planner.why(op, module);
  }

  readonly #intercept = (call: Call, next: Next): unknown => {
    if (active !== this || isObserving()) return next(call.args);
    if (this.#casts.casting) return this.#finish(call, call.args, next, "cast");
    const decomposition = decompositionOf(call.op);
    if (decomposition !== undefined) {
      const watched = hasObservers() && decomposition.exact(call.args);
      if (watched || !this.#mayFuse(call)) return decomposition.run(call.args);
    }
    if (this.#suspended > 0) return this.#finish(call, call.args, next, "model");
    const plan = this.#planner.plan(call.op, call.module);
    if (call.op === mlp) return this.#mlp(call, next);
    if (plan.rule === "keep") return this.#finish(call, call.args, next, "model");
    if (plan.emulated && isOnCpu(call.args) && !(call.op === linear && this.format !== null))
      return this.#emulate(call, plan, next);
    if (call.op === linear && plan.rule === "lower") return this.#linear(call, plan, next);
    if (plan.rule === "fp32" && this.dtype === "bfloat16") {
      const norm = normOf(call);
      if (norm !== null) return this.#layerNorm(call, norm);
    }
    const args = plan.rule === "widest" ? this.#casts.widest(call.args) : this.#casts.all(call.args, plan.dtype);
    if (plan.split) return this.#finish(call, [...args.slice(0, 3), true], next, "model");
    return this.#finish(call, args, next, "model");
  };

  /** Observed operators run as they are called, with the same bits. */
  readonly #interceptInFloat32 = (call: Call, next: Next): unknown => {
    if ((call.op !== linear && call.op !== mlp) || isGradEnabled() || hasObservers()) return next(call.args);
    const input = call.args[0] as Tensor;
    if (input.dtype !== "float32" || input.device !== "cpu") return next(call.args);
    return (
      (call.op === linear ? this.#packedLinear(call, call.args) : this.#packedMlp(call, call.args))?.() ??
      next(call.args)
    );
  };

  /** Whether a fused operator may run fused here: its parts would follow the same rules one by one. */
  #mayFuse(call: Call): boolean {
    if (this.#suspended > 0) return true;
    return call.op === mlp ? this.#mayFuseLayers(call) : agreesOnParts(this.policy, call.op.base);
  }

  /**
   * Whether the layers of an MLP may run fused. One by one, each layer would have to multiply its float32 weights in
   * bfloat16, and the activation between them would have to stay as it is. In prediction, the weights must be packed as
   * well.
   */
  #mayFuseLayers({ args, module }: Call): boolean {
    const [, weights, , activation] = args as [Tensor, Tensor[], Tensor[], nn.Activation];
    if (this.format !== null) return false;
    // The operator itself says what is wrong with it.
    if (!(activation in nn.activationOperators)) return true;
    if (!this.#masters || (isPredicting(module) && !(this.#packs && weights.every(isPackable)))) return false;
    if (this.#planner.plan(nn.activationOperators[activation], module).rule !== "keep") return false;
    return weights.every((weight) => {
      const { rule, dtype, masters } = this.#planner.plan(linear, nn.layerOfWeight(weight) ?? module);
      return (
        rule === "lower" && dtype === "bfloat16" && masters && weight.dtype === "float32" && weight.device === "cpu"
      );
    });
  }

  #finish(call: Call, args: unknown[], next: Next, by: OperatorEvent["by"]): unknown {
    const result = next(args);
    if (hasObservers()) notify({ op: call.op, module: call.module, args, result, by });
    return result;
  }

  /** Casts the input to bfloat16 once. The layers round their weights themselves, or read packed ones. */
  #mlp(call: Call, next: Next): unknown {
    const [input, ...rest] = call.args as [Tensor, ...unknown[]];
    const args = [this.#casts.input(input, "bfloat16"), ...rest];
    return this.#finish(call, args, this.#packedMlp(call, args) ?? next, "masters");
  }

  /**
   * Where the product rounds float32 weights itself, only the input is cast. In prediction, a parameter is packed once
   * for many products.
   */
  #linear(call: Call, plan: Plan, next: Next): unknown {
    const [input, weight, bias] = call.args as [Tensor, Tensor, Tensor | null | undefined];
    const lowered = this.#casts.input(input, plan.dtype);
    if (this.format !== null) return this.#finish(call, [lowered, weight, bias], next, "emulated");
    const masters =
      plan.masters && lowered.device === "cpu" && lowered.dtype === "bfloat16" && weight.dtype === "float32";
    if (!masters) return this.#finish(call, [lowered, ...this.#casts.all([weight, bias], plan.dtype)], next, "model");
    const args = [lowered, weight, bias];
    return this.#finish(call, args, this.#packedLinear(call, args) ?? next, "masters");
  }

  /** A linear layer on its packed weight; null where that cannot be packed. */
  #packedLinear({ module }: Call, args: readonly unknown[]): (() => Tensor) | null {
    const [input, weight, bias] = args as [Tensor, Tensor, Tensor | null | undefined];
    if (!this.#packs || !isPredicting(module) || !isPackable(weight)) return null;
    const packed = this.#casts.packed(weight, input.dtype);
    const [outputs = 0] = weight.shape;
    return () => this.#casts.uncast(() => ops.linearPacked(input, packed, bias ?? null, outputs));
  }

  /** An MLP on its packed weights; null where they cannot be packed. */
  #packedMlp({ module }: Call, args: readonly unknown[]): (() => Tensor) | null {
    const [input, weights, biases, activation] = args as [Tensor, Tensor[], Tensor[], nn.Activation];
    if (!this.#packs || !isPredicting(module) || !weights.every(isPackable)) return null;
    const packed = weights.map((weight) => this.#casts.packed(weight, input.dtype));
    const outputs = weights.map(({ shape: [outputs = 0] }) => outputs);
    return () => this.#casts.uncast(() => ops.mlpPacked(input, packed, biases, outputs, activation));
  }

  /** Backward keeps the rounded result, which the next product keeps too, and not the float32 input. */
  #layerNorm({ op, module, args }: Call, { input, weights, biases, eps }: Norm): Tensor {
    const [result, rounded] = unobserved(() => {
      const join = (list: Tensor[]): Tensor => (list.length === 1 ? (list[0] as Tensor) : ops.stack(list));
      return ops.roundedLayerNorm(input, join(weights), join(biases), eps);
    });
    this.#casts.take(result, rounded);
    if (hasObservers()) notify({ op, module, args, result, rounded, by: "model" });
    return result;
  }

  #emulate(call: Call, plan: Plan, next: Next): unknown {
    const { args, result } = emulate(call.args, plan.dtype, this.#casts, next);
    if (hasObservers()) notify({ op: call.op, module: call.module, args, result, by: "emulated" });
    return result;
  }
}

/** Whether a module neither trains nor is recorded. Forward of a checkpoint is not recorded, but trains. */
function isPredicting(module: nn.RunningModule | null): boolean {
  return !isGradEnabled() && !(module instanceof nn.Module && module.training);
}

/** Whether the product without autograd can read a weight in its packed form. */
function isPackable(weight: Tensor): weight is nn.Parameter {
  return (
    weight instanceof nn.Parameter &&
    weight.dtype === "float32" &&
    weight.device === "cpu" &&
    weight.ndim === 2 &&
    (weight.shape[1] ?? 1) % 2 === 0
  );
}

/** Whether the first tensor of a call is on the CPU. GPUs have float16 matrix units, whatever their host has. */
function isOnCpu(args: readonly unknown[]): boolean {
  const first = args.flat().find((value) => value instanceof Tensor) as Tensor | undefined;
  return first?.device === "cpu";
}

/** The autocast that is running now; null where there is none. */
export function activeAutocast(): Autocast | null {
  return active;
}

/**
 * Suspends the active autocast, if there is one, while `body` runs, and returns the result of `body`. Tensors in low
 * precision stay so until `body` casts them.
 *
 * @example
 * const autocast = new Autocast("bf16-mixed");
 * autocast.run(() => withoutAutocast(() => images.float().mean()));
 */
export function withoutAutocast<T>(body: () => T): T {
  return active === null ? body() : active.suspend(body);
}
