// Autocast: an interceptor in the operator door that casts arguments by the policy.
import { type Call, type DType, intercept, isGradEnabled, type Next, nn, type Operator, operator, ops, Tensor } from "@rfdetr/torch";
import { readHardware } from "./hardware.js";
import { hasObservers, isObserving, notify, type OperatorEvent, whileCasting } from "./observe.js";
import { pathPattern } from "./overrides.js";
import { type CastRule, defaultPolicy, type ModuleRule, type Overrides, type Policy } from "./policy.js";
import type { Precision } from "./precision.js";
import { WeightCache } from "./weight-cache.js";

/** How autocast decides about an operator. */
export interface AutocastOptions {
  policy?: Policy;
  /** By module path pattern; of several that fit a module, the last one written counts. */
  overrides?: Overrides;
  /** Compute float16 products as a tensor core would (operands rounded, float32 sums, result rounded) instead of in the CPU's own float16; default: where the CPU has no float16 matrix units. */
  emulateHalf?: boolean;
  /** In bfloat16 on the CPU, hand linear layers their float32 weights, to be rounded as the product reads them, without half copies; default: where libtorch's products are replaced by our own, which do so. */
  masters?: boolean;
}

const halfOf: Record<Precision, DType | null> = { "32-true": null, "bf16-mixed": "bfloat16", "16-mixed": "float16" };

/** What happens to one operator at one place. */
interface Plan {
  rule: CastRule;
  dtype: DType;
  emulated: boolean;
  /** A linear layer whose product rounds float32 weights itself: only its input is cast. */
  masters: boolean;
  /** A linear layer that sums three bfloat16 products. */
  split: boolean;
}

const keepPlan: Plan = { rule: "keep", dtype: "float32", emulated: false, masters: false, split: false };

const linearOperator = operator("aten::linear");

/** The table of one module rule; a row is decided when its operator is first met. */
class Plans {
  readonly #rows = new Map<Operator, Plan>();
  constructor(readonly decide: (op: Operator) => Plan) {}
  get(op: Operator): Plan {
    let plan = this.#rows.get(op);
    if (plan === undefined) {
      plan = this.decide(op);
      this.#rows.set(op, plan);
    }
    return plan;
  }
}

let active: Autocast | null = null;
whileCasting(() => active !== null);

/**
 * Mixed precision for everything that runs inside {@link Autocast.run}: master weights stay float32, their half copies are made
 * once and used until the weight changes or {@link Autocast.clearCache}, which belongs after every optimizer step (it frees them).
 * Gradients reach the masters in float32 through the cast. In-place operators, `out=` variants and float64 tensors are left alone,
 * as PyTorch does. Where one autocast runs inside another, the inner one alone decides.
 */
export class Autocast {
  readonly precision: Precision;
  /** The half type, or null in `32-true`. */
  readonly dtype: DType | null;
  readonly policy: Policy;
  readonly overrides: Overrides;
  /** Whether float16 products are emulated. */
  readonly emulated: boolean;
  readonly #emulateHalf: boolean;
  readonly #masters: boolean;
  readonly #patterns: (readonly [RegExp, ModuleRule])[];
  readonly #placeOfModule = new WeakMap<nn.RunningModule, Plans>();
  readonly #plansOfRule = new Map<ModuleRule, Plans>();
  /** Half copies with and without a way back to the master, and weights of linear layers as their products read them. */
  readonly #caches = { grad: new WeightCache(), noGrad: new WeightCache(), packed: new WeightCache() };
  #remove: (() => void) | null = null;
  #casting = false;
  #suspended = 0;

  constructor(precision: Precision, options: AutocastOptions = {}) {
    this.precision = precision;
    this.dtype = halfOf[precision];
    this.policy = options.policy ?? defaultPolicy;
    this.overrides = options.overrides ?? {};
    this.#emulateHalf = options.emulateHalf ?? !readHardware("cpu").fp16;
    this.#masters = options.masters ?? ops.linearTakesMasters();
    this.emulated = this.dtype === "float16" && this.#emulateHalf;
    this.#patterns = Object.entries(this.overrides).map(([pattern, rule]) => [pathPattern(pattern), rule] as const);
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
      }
    }
  }

  /** Frees the half copies of the weights: to be called whenever weights have changed, or when they are not needed for a while. */
  clearCache(): void {
    for (const cache of Object.values(this.#caches)) cache.clear();
  }

  /** Bytes of the half copies held at the moment. */
  get cachedBytes(): number {
    return Object.values(this.#caches).reduce((sum, cache) => sum + cache.bytes, 0);
  }

  /** Runs `body` without casting; tensors that are half already stay so. */
  suspend<T>(body: () => T): T {
    this.#suspended++;
    try {
      return body();
    } finally {
      this.#suspended--;
    }
  }

  /** The dtype that products run in at this place of the model, or null where nothing is lowered. */
  dtypeHere(): DType | null {
    if (this.dtype === null || this.#suspended > 0) return null;
    const module = nn.currentModule();
    const rule = module === null ? "policy" : this.#ruleOf(module);
    if (rule === "fp32" || rule === "keep" || rule === "widest" || rule === "bf16x3") return null;
    return rule === "bf16" ? "bfloat16" : this.dtype;
  }

  /**
   * Whether these linear layers and the activation between them may run as one operator that takes their float32 weights: each would be lowered to bfloat16 on its own and
   * the activation left alone, autograd records, and nobody watches single operators. The results have the same bits either way.
   */
  joins(layers: readonly nn.Linear[], activation: Operator): boolean {
    if (!this.#masters || hasObservers() || !isGradEnabled() || !this.lowers(layers)) return false;
    if (this.#plan(activation, nn.currentModule()).rule !== "keep") return false;
    return layers.every(
      (layer) => this.#plan(linearOperator, layer).masters && layer.weight.dtype === "float32" && layer.weight.device === "cpu",
    );
  }

  /** Whether the products of all these layers run in the half type of this place. */
  lowers(layers: readonly nn.Linear[]): boolean {
    if (this.#suspended > 0 || active !== this) return false;
    const half = this.dtypeHere();
    return layers.every((layer) => {
      const { rule, dtype } = this.#plan(linearOperator, layer);
      return rule === "lower" && dtype === half;
    });
  }

  /** What happens to an operator in a module. */
  ruleFor(op: Operator, module: nn.RunningModule | null): CastRule {
    return this.#plan(op, module).rule;
  }

  #plan(op: Operator, module: nn.RunningModule | null): Plan {
    return (module === null || this.#patterns.length === 0 ? this.#plans("policy") : this.#plansAt(module)).get(op);
  }

  #plansAt(module: nn.RunningModule): Plans {
    let plans = this.#placeOfModule.get(module);
    if (plans === undefined) {
      plans = this.#plans(this.#ruleOf(module));
      this.#placeOfModule.set(module, plans);
    }
    return plans;
  }

  #ruleOf(module: nn.RunningModule): ModuleRule {
    let rule: ModuleRule = "policy";
    for (const [pattern, value] of this.#patterns) if (pattern.test(module.path)) rule = value;
    return rule;
  }

  #plans(rule: ModuleRule): Plans {
    let plans = this.#plansOfRule.get(rule);
    if (plans === undefined) {
      plans = new Plans((op) => this.#decide(op, rule));
      this.#plansOfRule.set(rule, plans);
    }
    return plans;
  }

  #decide(op: Operator, module: ModuleRule): Plan {
    if (op.inPlace || op.base === "_to_copy" || op.overload.includes("out")) return keepPlan;
    const listed = this.policy.rows.get(op.base)?.rule ?? "keep";
    const rule = module === "policy" || module === "bf16" ? listed : module === "bf16x3" ? "fp32" : module;
    if (rule === "keep") return keepPlan;
    const half = module === "bf16" ? "bfloat16" : (this.dtype as DType);
    const dtype = rule === "lower" ? half : "float32";
    return {
      rule,
      dtype,
      emulated: rule === "lower" && listed === "lower" && half === "float16" && this.#emulateHalf,
      masters: op.name === "aten::linear" && dtype === "bfloat16" && this.#masters,
      split: module === "bf16x3" && op.name === "rfdetr::grouped_linear",
    };
  }

  readonly #door = (call: Call, next: Next): unknown => {
    if (active !== this || isObserving()) return next(call.args);
    if (this.#casting || this.#suspended > 0) return this.#finish(call, call.args, next, this.#casting ? "cast" : "model");
    const plan = this.#plan(call.op, call.module);
    if (plan.rule === "keep") return this.#finish(call, call.args, next, "model");
    if (plan.emulated) return this.#emulate(call, plan.dtype, next);
    if (plan.masters && (call.args[0] as Tensor).device === "cpu") return this.#linear(call, next);
    const args = plan.rule === "widest" ? this.#widest(call.args) : this.#cast(call.args, plan.dtype);
    if (plan.split) return this.#finish(call, [...args.slice(0, 3), true], next, "model");
    return this.#finish(call, args, next, "model");
  };

  #finish(call: Call, args: unknown[], next: Next, by: OperatorEvent["by"]): unknown {
    const result = next(args);
    if (hasObservers()) notify({ op: call.op, module: call.module, args, result, by });
    return result;
  }

  /** The product takes float32 weights; without autograd, parameters are packed once for many products. */
  #linear(call: Call, next: Next): unknown {
    const [input, weight, bias] = call.args as [Tensor, Tensor, Tensor | null | undefined];
    const lowered = this.#castTensor(input, "bfloat16");
    const args = [lowered, weight, bias];
    if (lowered.dtype !== "bfloat16" || weight.dtype !== "float32") return this.#finish(call, this.#cast(args, "bfloat16"), next, "model");
    const packs = !isGradEnabled() && weight instanceof nn.Parameter && weight.shape[1] % 2 === 0 && ops.linearTakesMasters();
    if (!packs) return this.#finish(call, args, next, "masters");
    const packed = this.#caches.packed.get(weight, "int32", () => this.#uncast(() => ops.packLinear(weight)));
    const multiply = (): Tensor => this.#uncast(() => ops.linearPacked(lowered, packed, bias ?? null, weight.shape[0]));
    return this.#finish(call, args, multiply, "masters");
  }

  #cast(args: unknown[], dtype: DType): unknown[] {
    let changed: unknown[] | null = null;
    for (let i = 0; i < args.length; i++) {
      const value = args[i];
      let cast: unknown = value;
      if (value instanceof Tensor) cast = this.#castTensor(value, dtype);
      else if (Array.isArray(value) && value.length > 0 && typeof value[0] === "object") cast = this.#castList(value, dtype);
      if (cast === value) continue;
      changed ??= args.slice();
      changed[i] = cast;
    }
    return changed ?? args;
  }

  #castList(list: unknown[], dtype: DType): unknown[] {
    let changed: unknown[] | null = null;
    for (let i = 0; i < list.length; i++) {
      const value = list[i];
      if (!(value instanceof Tensor)) continue;
      const cast = this.#castTensor(value, dtype);
      if (cast === value) continue;
      changed ??= list.slice();
      changed[i] = cast;
    }
    return changed ?? list;
  }

  #castTensor(value: Tensor, dtype: DType): Tensor {
    const own = value.dtype;
    if (own === dtype || (own !== "float32" && own !== "bfloat16" && own !== "float16")) return value;
    return value instanceof nn.Parameter ? this.#weight(value, dtype) : this.#convert(value, dtype);
  }

  /** Converts without being cast on the way. */
  #convert(value: Tensor, dtype: DType): Tensor {
    return this.#uncast(() => ops._toCopy(value, { dtype }));
  }

  #uncast<T>(body: () => T): T {
    const before = this.#casting;
    this.#casting = true;
    try {
      return body();
    } finally {
      this.#casting = before;
    }
  }

  /** The half copy of a master weight, made once while the weight stays as it is. A copy made for autograd serves without it too. */
  #weight(master: Tensor, dtype: DType): Tensor {
    const recorded = isGradEnabled() && master.requiresGrad;
    const { grad, noGrad } = this.#caches;
    const convert = (): Tensor => this.#convert(master, dtype);
    return recorded ? grad.get(master, dtype, convert) : (grad.found(master, dtype) ?? noGrad.get(master, dtype, convert));
  }

  #widest(args: unknown[]): unknown[] {
    let narrow = false;
    let wide = false;
    let first: DType | null = null;
    const look = (value: unknown): void => {
      if (!(value instanceof Tensor)) return;
      const own = value.dtype;
      if (own === "float32") wide = true;
      else if (own === "bfloat16" || own === "float16") {
        narrow = true;
        // Float16 beside bfloat16: neither holds the other, so both go up.
        if (first !== null && first !== own) wide = true;
        first = own;
      }
    };
    for (const value of args)
      if (Array.isArray(value)) for (const element of value) look(element);
      else look(value);
    return narrow && wide ? this.#cast(args, "float32") : args;
  }

  /** As a tensor core: half operands, float32 sums, half result. Backward passes through the same roundings. */
  #emulate(call: Call, half: DType, next: Next): unknown {
    const round = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(round);
      if (!(value instanceof Tensor)) return value;
      const rounded = this.#castTensor(value, half);
      return rounded.dtype === half ? this.#convert(rounded, "float32") : rounded;
    };
    const args = call.args.map(round);
    const wide = next(args);
    const result = wide instanceof Tensor && wide.dtype === "float32" ? this.#convert(wide, half) : wide;
    if (hasObservers()) notify({ op: call.op, module: call.module, args, result, by: "emulated" });
    return result;
  }
}

/** The autocast that is running on this thread. */
export function activeAutocast(): Autocast | null {
  return active;
}

/** Runs `body` with autocast switched off, if it is on. Tensors that are half already stay half until `body` raises them. */
export function withoutAutocast<T>(body: () => T): T {
  return active === null ? body() : active.suspend(body);
}

/** `x` in the dtype that products run in here, so that several products of one tensor share a single cast; `x` itself without autocast. */
export function lowered(x: Tensor): Tensor {
  const dtype = active?.dtypeHere() ?? null;
  return dtype === null || active?.emulated || x.dtype === "float64" ? x : x.to(dtype);
}
