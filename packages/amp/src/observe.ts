// Observers see every operator as it really runs: after autocast has cast the arguments, and before the caller gets
// the result.
import {
  type Call,
  decompositionOf,
  intercept,
  type Next,
  type nn,
  noGrad,
  type Operator,
  scope,
  type Tensor,
} from "@rfdetr/torch";

/** An operator call that has just run. The tensors belong to the call: do not change them. */
export interface OperatorEvent {
  /** The operator that ran. */
  readonly op: Operator;
  /** The innermost module whose forward is running; null outside of modules. */
  readonly module: nn.RunningModule | null;
  /** The arguments as the operator received them. */
  readonly args: readonly unknown[];
  /** The result that the caller gets. */
  readonly result: unknown;
  /**
   * The result rounded to low precision, where the operator made that as well. Products read it, so their gradients
   * arrive there and not at `result`.
   */
  readonly rounded?: Tensor;
  /**
   * Who called the operator, or how autocast ran it.
   * - `model`: the model called it.
   * - `cast`: autocast called it to change a dtype.
   * - `emulated`: autocast computed a product on rounded float32 operands: in float16, or in a number format.
   * - `masters`: the product rounds its float32 weights as it reads them.
   */
  readonly by: "model" | "cast" | "emulated" | "masters";
}

/** A function that is called after every operator. */
export type Observer = (event: OperatorEvent) => void;

const observers: Observer[] = [];
let observing = false;
let uninstall: (() => void) | null = null;
let autocastIsActive: () => boolean = () => false;

/** Registers a test for whether an autocast is active. While one is, autocast notifies the observers itself. */
export function whileCasting(test: () => boolean): void {
  autocastIsActive = test;
}

/**
 * Calls `observer` after every operator, with or without autocast. The observer runs without autograd, in its own
 * scope. The operators that it calls are neither cast nor observed. Without an observer, no operator is intercepted.
 *
 * A fused operator is observed as its parts where they give the same bits, and as one operator where they do not. So
 * observation never changes a result.
 * @returns a function that removes the observer
 * @example
 * import { observe } from "@rfdetr/amp";
 * const stop = observe(({ op, module }) => console.log(module?.path, op.name));
 * model.call(images);
 * stop();
 */
export function observe(observer: Observer): () => void {
  observers.push(observer);
  uninstall ??= intercept(observed);
  return () => {
    const at = observers.indexOf(observer);
    if (at >= 0) observers.splice(at, 1);
    if (observers.length > 0 || uninstall === null) return;
    uninstall();
    uninstall = null;
  };
}

/** Whether there is an observer. */
export function hasObservers(): boolean {
  return observers.length > 0;
}

/** True while an observer or {@link unobserved} runs, whose operators are neither cast nor observed. */
export function isObserving(): boolean {
  return observing;
}

/** Calls every observer with an event. */
export function notify(event: OperatorEvent): void {
  observing = true;
  try {
    noGrad(() =>
      scope(() => {
        for (const observer of [...observers]) observer(event);
      }),
    );
  } finally {
    observing = false;
  }
}

/**
 * Runs `body` and returns its result. Its operators are neither cast nor observed, because they belong to an instrument
 * and not to the model.
 */
export function unobserved<T>(body: () => T): T {
  const before = observing;
  observing = true;
  try {
    return body();
  } finally {
    observing = before;
  }
}

function observed(call: Call, next: Next): unknown {
  if (observing || autocastIsActive()) return next(call.args);
  const decomposition = decompositionOf(call.op);
  if (decomposition?.exact(call.args)) return decomposition.run(call.args);
  const result = next(call.args);
  notify({ op: call.op, module: call.module, args: call.args, result, by: "model" });
  return result;
}
