// What autocast does with an operator in a module: decided once from policy and overrides, then looked up.
import type { DType, nn, Operator } from "@rfdetr/torch";
import { pathPattern } from "./overrides.js";
import type { CastRule, ModuleRule, Overrides, Policy } from "./policy.js";

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

/** The plans of all operators under one module rule. Each is decided on the first call of its operator. */
class Table {
  readonly #plans = new Map<Operator, Plan>();
  constructor(readonly decide: (op: Operator) => Plan) {}
  get(op: Operator): Plan {
    let plan = this.#plans.get(op);
    if (plan === undefined) {
      plan = this.decide(op);
      this.#plans.set(op, plan);
    }
    return plan;
  }
}

/** The plans of one policy with its overrides. */
export class Planner {
  readonly #options: PlanOptions;
  readonly #patterns: readonly (readonly [RegExp, ModuleRule])[];
  readonly #tableOfRule = new Map<ModuleRule, Table>();
  readonly #tableOfModule = new WeakMap<nn.RunningModule, Table>();

  constructor(options: PlanOptions) {
    this.#options = options;
    this.#patterns = Object.entries(options.overrides).map(([pattern, rule]) => [pathPattern(pattern), rule] as const);
  }

  /**
   * The plan of an operator.
   * @param module the module that calls the operator; null outside of modules, where only the policy counts
   */
  plan(op: Operator, module: nn.RunningModule | null): Plan {
    return (module === null || this.#patterns.length === 0 ? this.#table("policy") : this.#tableAt(module)).get(op);
  }

  #tableAt(module: nn.RunningModule): Table {
    let table = this.#tableOfModule.get(module);
    if (table === undefined) {
      let rule: ModuleRule = "policy";
      for (const [pattern, value] of this.#patterns) if (pattern.test(module.path)) rule = value;
      table = this.#table(rule);
      this.#tableOfModule.set(module, table);
    }
    return table;
  }

  #table(rule: ModuleRule): Table {
    let table = this.#tableOfRule.get(rule);
    if (table === undefined) {
      table = new Table((op) => this.#decide(op, rule));
      this.#tableOfRule.set(rule, table);
    }
    return table;
  }

  #decide(op: Operator, module: ModuleRule): Plan {
    const { policy, emulateFloat16, emulateConvolutions, masters } = this.#options;
    if (op.inPlace || op.base === "_to_copy" || op.overload.includes("out")) return keepPlan;
    const listed = policy.rows.get(op.base)?.rule ?? "keep";
    const rule = module === "policy" || module === "bf16" ? listed : module === "bf16x3" ? "fp32" : module;
    if (rule === "keep") return keepPlan;
    const low = module === "bf16" ? "bfloat16" : this.#options.dtype;
    const dtype = rule === "lower" ? low : "float32";
    const takesMasters = op.name === "aten::linear" && dtype === "bfloat16" && masters;
    const emulates = low === "float16" ? emulateFloat16 : emulateConvolutions && op.base.startsWith("conv");
    return {
      rule,
      dtype,
      emulated: rule === "lower" && listed === "lower" && emulates,
      masters: takesMasters,
      split: module === "bf16x3" && op.name === "rfdetr::grouped_linear",
    };
  }
}
