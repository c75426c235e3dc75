// Autocast: an interceptor at the operator door that casts arguments by the policy.
import {
  type Call,
  type DType,
  decompositionOf,
  intercept,
  isGradEnabled,
  type Next,
  nn,
  operator,
  ops,
  type Tensor,
} from "@rfdetr/torch";
import type { Precision } from "./auto-precision.js";
import { Casts } from "./casts.js";
import { agreesOnParts } from "./fused-rules.js";
import { emulate } from "./half-emulation.js";
import { readHardware } from "./hardware.js";
import { hasObservers, isObserving, notify, type OperatorEvent, whileCasting } from "./observe.js";
import { type Plan, Planner } from "./plan.js";
import { defaultPolicy, type Overrides, type Policy } from "./policy.js";

/** How autocast decides about an operator. */
export interface AutocastOptions {
  policy?: Policy;
  /** By module path pattern; of several that match a module, the last one written counts. */
  overrides?: Overrides;
  /**
   * Compute float16 products as a tensor core would (operands rounded, float32 sums, result rounded) instead of in the
   * CPU's own float16; default: where the CPU has no float16 matrix units.
   */
  emulateHalf?: boolean;
  /**
   * In bfloat16 on the CPU, hand linear layers their float32 weights, to be rounded as the product reads them, without
   * bfloat16 copies; default: where libtorch's products are replaced by our own, which do so.
   */
  masters?: boolean;
}

const lowPrecisionOf: Record<Precision, DType | null> = {
  "32-true": null,
  "bf16-mixed": "bfloat16",
  "16-mixed": "float16",
};

const linear = operator("aten::linear");
const mlp = operator("rfdetr::mlp");

let active: Autocast | null = null;
whileCasting(() => active !== null);

/**
 * Mixed precision (Micikevicius et al. 2018, arXiv:1710.03740) for everything that runs inside {@link Autocast.run}.
 * Master weights stay float32; their copies in `dtype` are made once and used until the weight changes or {@link
 * Autocast.clearCache}, which belongs after every optimizer step. Gradients reach the masters in float32 through the
 * cast. In-place operators, `out=` variants and float64 tensors are left alone, as PyTorch does. Where one autocast
 * runs inside another, the inner one alone decides.
 *
 * A fused operator runs as one where the policy agrees with it on every part, and as its parts where it does not.
 * @example
 * const autocast = new Autocast("bf16-mixed", { overrides: { "decoder.norm": "fp32" } });
 * const outputs = autocast.run(() => model.call(images));
 */
export class Autocast {
  readonly precision: Precision;
  /** The dtype of the products, or null in `32-true`. */
  readonly dtype: DType | null;
  readonly policy: Policy;
  readonly overrides: Overrides;
  /** Whether float16 products are emulated. */
  readonly emulated: boolean;
  readonly #masters: boolean;
  readonly #planner: Planner;
  readonly #casts = new Casts();
  #remove: (() => void) | null = null;
  #suspended = 0;

  constructor(precision: Precision, options: AutocastOptions = {}) {
    this.precision = precision;
    this.dtype = lowPrecisionOf[precision];
    this.policy = options.policy ?? defaultPolicy;
    this.overrides = options.overrides ?? {};
    const emulateHalf = options.emulateHalf ?? !readHardware("cpu").fp16;
    this.emulated = this.dtype === "float16" && emulateHalf;
    this.#masters = options.masters ?? ops.linearTakesMasters();
    this.#planner = new Planner({
      policy: this.policy,
      overrides: this.overrides,
      dtype: this.dtype ?? "float32",
      emulateHalf,
      masters: this.#masters,
    });
  }

  /** Runs `body` (synchronous) under autocast; in `32-true` it runs without any. */
  run<T>(body: () => T): T {
    if (this.dtype === null) return withoutAutocast(body);
    const outer = active;
    const suspended = this.#suspended;
    const installed = this.#remove === null;
    if (installed) this.#remove = intercept(this.#door);
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

  /**
   * Frees the copies of the weights: to be called whenever weights have changed, or when they are not needed for a
   * while.
   */
  clearCache(): void {
    this.#casts.clear();
  }

  /** Bytes of the copies of weights held at the moment. */
  get cachedBytes(): number {
    return this.#casts.bytes;
  }

  /** Runs `body` without casting; tensors that are in a lower precision already stay so. */
  suspend<T>(body: () => T): T {
    this.#suspended++;
    try {
      return body();
    } finally {
      this.#suspended--;
    }
  }

  readonly #door = (call: Call, next: Next): unknown => {
    if (active !== this || isObserving()) return next(call.args);
    if (this.#casts.casting) return this.#finish(call, call.args, next, "cast");
    const decomposition = decompositionOf(call.op);
    if (decomposition !== undefined && !(hasObservers() && decomposition.exact ? false : this.#mayFuse(call)))
      return decomposition.run(call.args);
    if (this.#suspended > 0) return this.#finish(call, call.args, next, "model");
    const plan = this.#planner.plan(call.op, call.module);
    if (call.op === mlp) return this.#mlp(call, next);
    if (plan.rule === "keep") return this.#finish(call, call.args, next, "model");
    if (plan.emulated) return this.#emulate(call, plan, next);
    if (call.op === linear && plan.rule === "lower") return this.#linear(call, plan, next);
    const args = plan.rule === "widest" ? this.#casts.widest(call.args) : this.#casts.all(call.args, plan.dtype);
    if (plan.split) return this.#finish(call, [...args.slice(0, 3), true], next, "model");
    return this.#finish(call, args, next, "model");
  };

  /** Whether a fused operator may run as one here: each of its parts would do the same on its own. */
  #mayFuse(call: Call): boolean {
    if (this.#suspended > 0) return true;
    return call.op === mlp ? this.#mayFuseLayers(call) : agreesOnParts(this.policy, call.op.base);
  }

  /**
   * Layers may run as one where each would multiply its float32 weights in bfloat16 on its own, the activation between
   * them is left alone, and autograd records: without it, each layer's packed weights are faster.
   */
  #mayFuseLayers({ args, module }: Call): boolean {
    const [, weights, , activation] = args as [Tensor, Tensor[], Tensor[], nn.Activation];
    if (!this.#masters || !isGradEnabled()) return false;
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

  /** The layers read one bfloat16 input, and round their weights themselves. */
  #mlp(call: Call, next: Next): unknown {
    const [input, ...rest] = call.args as [Tensor, ...unknown[]];
    return this.#finish(call, [this.#casts.input(input, "bfloat16"), ...rest], next, "masters");
  }

  /**
   * Where the product rounds float32 weights itself, only the input is cast; without autograd, parameters are packed
   * once for many products.
   */
  #linear(call: Call, plan: Plan, next: Next): unknown {
    const [input, weight, bias] = call.args as [Tensor, Tensor, Tensor | null | undefined];
    const lowered = this.#casts.input(input, plan.dtype);
    const masters =
      plan.masters && lowered.device === "cpu" && lowered.dtype === "bfloat16" && weight.dtype === "float32";
    if (!masters) return this.#finish(call, [lowered, ...this.#casts.all([weight, bias], plan.dtype)], next, "model");
    const args = [lowered, weight, bias];
    const [outputs = 0, inputs = 0] = weight.shape;
    const packs = !isGradEnabled() && weight instanceof nn.Parameter && inputs % 2 === 0 && ops.linearTakesMasters();
    if (!packs) return this.#finish(call, args, next, "masters");
    const packed = this.#casts.packed(weight);
    const multiply = (): Tensor => this.#casts.uncast(() => ops.linearPacked(lowered, packed, bias ?? null, outputs));
    return this.#finish(call, args, multiply, "masters");
  }

  #emulate(call: Call, plan: Plan, next: Next): unknown {
    const { args, result } = emulate(call.args, plan.dtype, this.#casts, next);
    if (hasObservers()) notify({ op: call.op, module: call.module, args, result, by: "emulated" });
    return result;
  }
}

/** The autocast that is running on this thread. */
export function activeAutocast(): Autocast | null {
  return active;
}

/**
 * Runs `body` with autocast switched off, if it is on. Tensors in a lower precision stay so until `body` raises them.
 */
export function withoutAutocast<T>(body: () => T): T {
  return active === null ? body() : active.suspend(body);
}
