// What autocast does with an operator in a module: decided once from policy and overrides, then looked up.
import type { DType, nn, Operator } from "@rfdetr/torch";
import type { CastRule, ModuleRule } from "../names.js";
import { pathPattern } from "./overrides.js";
import type { Overrides, Policy, PolicyRow } from "./policy.js";

/** What autocast does with one operator in one module. */
export interface Plan {
  rule: CastRule;
  /** The dtype that the arguments are cast to. */
  dtype: DType;
  /** Whether it is a product to compute on rounded float32 operands. */
  emulated: boolean;
  /** Whether it is a linear layer whose product rounds float32 weights itself, so that only its input is cast. */
  masters: boolean;
  /** Whether it is a linear layer that sums three bfloat16 products. */
  split: boolean;
}

const keepPlan: Plan = { rule: "keep", dtype: "float32", emulated: false, masters: false, split: false };

/** What the plans of a {@link Planner} follow from. */
export interface PlanOptions {
  policy: Policy;
  /** Rules of modules by path pattern. Where several patterns match a module, the last one counts. */
  overrides: Overrides;
  /** The dtype of matrix products. */
  dtype: DType;
  /** Whether to compute float16 products on rounded float32 operands. */
  emulateFloat16: boolean;
  /** Whether to compute bfloat16 convolutions on rounded float32 operands. */
  emulateConvolutions: boolean;
  /** Whether linear layers in bfloat16 receive their float32 weights. */
  masters: boolean;
}

/** The rules that a policy with its overrides gives. */
export class PolicyRules {
  readonly #patterns: readonly (readonly [RegExp, ModuleRule, pattern: string])[];

  constructor(
    readonly policy: Policy,
    overrides: Overrides,
  ) {
    this.#patterns = Object.entries(overrides).map(([pattern, rule]) => [pathPattern(pattern), rule, pattern] as const);
  }

  /** Whether modules have rules of their own. */
  get hasOverrides(): boolean {
    return this.#patterns.length > 0;
  }

  /** The rule of a module: of the patterns that match its path, the last one counts. */
  ofModule(path: string): ModuleRule {
    return this.#patterns.findLast(([pattern]) => pattern.test(path))?.[1] ?? "policy";
  }

  /** The rule of an operator in modules that have a rule. */
  ofOperator(op: Operator, module: ModuleRule): CastRule {
    if (op.base === "_to_copy" || writesGiven(op)) return "keep";
    if (module === "policy" || module === "bf16") return this.policy.rows.get(op.base)?.rule ?? "keep";
    return module === "bf16x3" ? "fp32" : module;
  }

  /**
   * The rule of an operator, and the reason for it.
   * @param path that of the module that calls the operator; null outside of modules
   */
  why(op: Operator, path: string | null): PolicyRow {
    const [, module, pattern] = this.#patterns.findLast(([matching]) => path !== null && matching.test(path)) ?? [];
    const rule = this.ofOperator(op, module ?? "policy");
    if (writesGiven(op)) return { rule, reason: "writes into a tensor that it was given" };
    if (module !== undefined && module !== "policy" && module !== "bf16")
      return { rule, reason: `the override ${pattern}=${module}` };
    return this.policy.rows.get(op.base) ?? { rule, reason: "not in the policy: computed in the dtypes that it gets" };
  }
}

const writesGiven = (op: Operator): boolean => op.inPlace || op.overload.includes("out");

/** The plans of one policy with its overrides. Each is decided on the first call of its operator. */
export class Planner {
  readonly #options: PlanOptions;
  readonly #rules: PolicyRules;
  readonly #plans = new Map<ModuleRule, Map<Operator, Plan>>();
  readonly #ruleOfModule = new WeakMap<nn.RunningModule, ModuleRule>();

  constructor(options: PlanOptions) {
    this.#options = options;
    this.#rules = new PolicyRules(options.policy, options.overrides);
  }

  /**
   * The plan of an operator.
   * @param module the module that calls the operator; null outside of modules, where only the policy counts
   */
  plan(op: Operator, module: nn.RunningModule | null): Plan {
    const rule = module === null || !this.#rules.hasOverrides ? "policy" : this.#ruleOf(module);
    let plans = this.#plans.get(rule);
    if (plans === undefined) this.#plans.set(rule, (plans = new Map()));
    let plan = plans.get(op);
    if (plan === undefined) plans.set(op, (plan = this.#decide(op, rule)));
    return plan;
  }

  /** The rule that a plan follows from, and the reason for it. */
  why(op: Operator, module: nn.RunningModule | null): PolicyRow {
    return this.#rules.why(op, module?.path ?? null);
  }

  #ruleOf(module: nn.RunningModule): ModuleRule {
    let rule = this.#ruleOfModule.get(module);
    if (rule === undefined) this.#ruleOfModule.set(module, (rule = this.#rules.ofModule(module.path)));
    return rule;
  }

  #decide(op: Operator, module: ModuleRule): Plan {
    const { policy, emulateFloat16, emulateConvolutions, masters } = this.#options;
    const rule = this.#rules.ofOperator(op, module);
    if (rule === "keep") return keepPlan;
    const low = module === "bf16" ? "bfloat16" : this.#options.dtype;
    const dtype = rule === "lower" ? low : "float32";
    const takesMasters = op.name === "aten::linear" && dtype === "bfloat16" && masters;
    const emulates = low === "float16" ? emulateFloat16 : emulateConvolutions && op.base.startsWith("conv");
    return {
      rule,
      dtype,
      emulated: rule === "lower" && policy.rows.get(op.base)?.rule === "lower" && emulates,
      masters: takesMasters,
      split: module === "bf16x3" && op.name === "rfdetr::grouped_linear",
    };
  }
}
