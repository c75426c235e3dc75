// Autocast: an interceptor in the operator door that casts arguments by the policy.
import { type Call, type DType, intercept, isGradEnabled, keep, type Next, nn, ops, type Operator, Tensor } from "@rfdetr/torch";
import { readHardware } from "./hardware.js";
import { type CastRule, defaultPolicy, type Overrides, pathPattern, type Policy } from "./policy.js";
import type { Precision } from "./precision.js";

export interface AutocastOptions {
  policy?: Policy;
  overrides?: Overrides;
  /** Compute float16 products as a tensor core would (operands rounded, float32 sums, result rounded) instead of in the CPU's own float16; default: where the CPU has no float16 matrix units. */
  emulateHalf?: boolean;
}

const halfOf: Record<Precision, DType | null> = { "32-true": null, "bf16-mixed": "bfloat16", "16-mixed": "float16" };

interface CachedWeight {
  cast: Tensor;
  version: number;
}

let active: Autocast | null = null;

/**
 * Mixed precision for everything that runs inside {@link Autocast.run}: master weights stay float32, their half copies are made
 * once and used until {@link Autocast.clearCache}, which belongs after every optimizer step. Gradients reach the masters in float32
 * through the cast. In-place operators, `out=` variants and float64 tensors are left alone, as PyTorch does.
 */
export class Autocast {
  readonly precision: Precision;
  /** The half type, or null in `32-true`. */
  readonly dtype: DType | null;
  readonly policy: Policy;
  readonly overrides: Overrides;
  readonly emulated: boolean;
  readonly #patterns: [RegExp, CastRule][];
  readonly #ruleOfModule = new WeakMap<nn.Module, CastRule | "none">();
  readonly #ruleOfOperator = new Map<Operator, CastRule>();
  readonly #weights = { grad: new Map<Tensor, CachedWeight>(), noGrad: new Map<Tensor, CachedWeight>() };
  #casting = false;
  #suspended = 0;

  constructor(precision: Precision, options: AutocastOptions = {}) {
    this.precision = precision;
    this.dtype = halfOf[precision];
    this.policy = options.policy ?? defaultPolicy;
    this.overrides = options.overrides ?? {};
    this.emulated = precision === "16-mixed" && (options.emulateHalf ?? !readHardware("cpu").fp16);
    this.#patterns = Object.entries(this.overrides).map(([pattern, rule]) => [pathPattern(pattern), rule]);
  }

  /** Runs `body` (synchronous) under autocast; in `32-true` it just runs. */
  run<T>(body: () => T): T {
    if (this.dtype === null) return body();
    const outer = active;
    const remove = intercept(this.#door);
    active = this;
    try {
      return body();
    } finally {
      active = outer;
      remove();
    }
  }

  /** Forgets the half copies of the weights: to be called whenever weights have changed. */
  clearCache(): void {
    for (const cache of [this.#weights.grad, this.#weights.noGrad]) {
      for (const { cast } of cache.values()) cast.dispose();
      cache.clear();
    }
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
    const override = module === null ? "none" : this.#moduleRule(module);
    return override === "fp32" || override === "keep" ? null : this.dtype;
  }

  /** What happens to an operator in a module. */
  ruleFor(op: Operator, module: nn.Module | null): CastRule {
    if (module !== null && this.#patterns.length > 0) {
      const override = this.#moduleRule(module);
      if (override !== "none") return override;
    }
    let rule = this.#ruleOfOperator.get(op);
    if (rule === undefined) {
      rule = op.inPlace || op.overload.includes("out") ? "keep" : (this.policy.rows.get(op.base)?.rule ?? "keep");
      this.#ruleOfOperator.set(op, rule);
    }
    return rule;
  }

  #moduleRule(module: nn.Module): CastRule | "none" {
    let rule = this.#ruleOfModule.get(module);
    if (rule === undefined) {
      rule = "none";
      for (const [pattern, value] of this.#patterns) if (pattern.test(module.path)) rule = value;
      this.#ruleOfModule.set(module, rule);
    }
    return rule;
  }

  readonly #door = (call: Call, next: Next): unknown => {
    if (this.#casting || this.#suspended > 0 || call.op.base === "_to_copy" || call.op.inPlace) return next(call.args);
    switch (this.ruleFor(call.op, call.module)) {
      case "lower":
        return this.emulated && this.policy.rows.get(call.op.base)?.rule === "lower" ? this.#rounded(call, next) : next(this.#cast(call.args, this.dtype as DType));
      case "fp32":
        return next(this.#cast(call.args, "float32"));
      case "widest":
        return next(this.#widest(call.args));
      default:
        return next(call.args);
    }
  };

  #cast(args: unknown[], dtype: DType): unknown[] {
    let changed: unknown[] | null = null;
    for (let i = 0; i < args.length; i++) {
      const value = args[i];
      const cast = value instanceof Tensor ? this.#castTensor(value, dtype) : Array.isArray(value) && value[0] instanceof Tensor ? this.#castList(value, dtype) : value;
      if (cast === value) continue;
      changed ??= [...args];
      changed[i] = cast;
    }
    return changed ?? args;
  }

  #castList(list: unknown[], dtype: DType): unknown[] {
    const cast = list.map((value) => (value instanceof Tensor ? this.#castTensor(value, dtype) : value));
    return cast.some((value, i) => value !== list[i]) ? cast : list;
  }

  #castTensor(value: Tensor, dtype: DType): Tensor {
    const own = value.dtype;
    if (own === dtype || (own !== "float32" && own !== "bfloat16" && own !== "float16")) return value;
    return value instanceof nn.Parameter ? this.#weight(value, dtype) : this.#convert(value, dtype);
  }

  /** Converts without passing our own door again. */
  #convert(value: Tensor, dtype: DType): Tensor {
    this.#casting = true;
    try {
      return ops._toCopy(value, { dtype });
    } finally {
      this.#casting = false;
    }
  }

  /** The half copy of a master weight, made once while the weight stays as it is. */
  #weight(master: Tensor, dtype: DType): Tensor {
    const cache = isGradEnabled() && master.requiresGrad ? this.#weights.grad : this.#weights.noGrad;
    const { version } = master;
    const found = cache.get(master);
    if (found !== undefined && found.version === version && found.cast.dtype === dtype) return found.cast;
    found?.cast.dispose();
    const cast = keep(this.#convert(master, dtype));
    cache.set(master, { cast, version });
    return cast;
  }

  #widest(args: unknown[]): unknown[] {
    let half = false;
    let wide = false;
    const look = (value: unknown): void => {
      if (!(value instanceof Tensor)) return;
      if (value.dtype === "float32") wide = true;
      else if (value.dtype === "bfloat16" || value.dtype === "float16") half = true;
    };
    for (const value of args) Array.isArray(value) ? value.forEach(look) : look(value);
    return half && wide ? this.#cast(args, "float32") : args;
  }

  /** As a tensor core: half operands, float32 sums, half result. Backward passes through the same roundings. */
  #rounded(call: Call, next: Next): unknown {
    const half = this.dtype as DType;
    const args = call.args.map((value) => {
      if (!(value instanceof Tensor) || (value.dtype !== "float32" && value.dtype !== half)) return value;
      return this.#convert(value.dtype === half ? value : value instanceof nn.Parameter ? this.#weight(value, half) : this.#convert(value, half), "float32");
    });
    const result = next(args);
    return result instanceof Tensor && result.dtype === "float32" ? this.#convert(result, half) : result;
  }
}

/** The autocast that is running on this thread. */
export function activeAutocast(): Autocast | null {
  return active;
}

/** Runs `body` with autocast switched off, if it is on. */
export function withoutAutocast<T>(body: () => T): T {
  return active === null ? body() : active.suspend(body);
}

/** `x` in the dtype that products run in here, so that several products of one tensor share a single cast; `x` itself without autocast. */
export function lowered(x: Tensor): Tensor {
  const dtype = active?.dtypeHere() ?? null;
  return dtype === null || active?.emulated ? x : x.to(dtype);
}
