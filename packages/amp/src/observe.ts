// Watching operators as they really run: after autocast has cast the arguments, before anyone sees the result.
import { type Call, decompositionOf, intercept, type Next, type nn, noGrad, type Operator, scope } from "@rfdetr/torch";

/** One operator call that has just run. The tensors are the call's own: look, do not write. */
export interface OperatorEvent {
  readonly op: Operator;
  /** The innermost module whose forward is running. */
  readonly module: nn.RunningModule | null;
  /** As the operator received them. */
  readonly args: readonly unknown[];
  readonly result: unknown;
  /**
   * `cast`: autocast itself changes a dtype here; `emulated`: a half product computed on rounded float32 operands;
   * `masters`: one that rounds its float32 weights as it reads them.
   */
  readonly by: "model" | "cast" | "emulated" | "masters";
}

/** Called for every operator, after it. */
export type Observer = (event: OperatorEvent) => void;

const observers: Observer[] = [];
let observing = false;
let uninstall: (() => void) | null = null;
let castingDoor: () => boolean = () => false;

/** autocast.ts says whether an autocast stands in the door and tells the observers itself. */
export function whileCasting(test: () => boolean): void {
  castingDoor = test;
}

/**
 * Calls `observer` after every operator, whether autocast is on or not. It runs without autograd, in a scope of its
 * own; operators that it calls are neither cast nor observed. Nothing stands at the door while there is no observer.
 * Fused operators are seen as their parts where both ways have the same bits, as a whole where they do not: watching
 * changes nothing.
 * @returns a function that removes the observer
 */
export function observe(observer: Observer): () => void {
  observers.push(observer);
  uninstall ??= intercept(door);
  return () => {
    const at = observers.indexOf(observer);
    if (at >= 0) observers.splice(at, 1);
    if (observers.length > 0 || uninstall === null) return;
    uninstall();
    uninstall = null;
  };
}

export function hasObservers(): boolean {
  return observers.length > 0;
}

/** True inside an observer: its own operator calls pass every door untouched. */
export function isObserving(): boolean {
  return observing;
}

export function notify(event: OperatorEvent): void {
  observing = true;
  try {
    noGrad(() =>
      scope(() => {
        for (const observer of observers) observer(event);
      }),
    );
  } finally {
    observing = false;
  }
}

/** Runs operators that belong to an instrument, not to the model. */
export function unobserved<T>(body: () => T): T {
  const before = observing;
  observing = true;
  try {
    return body();
  } finally {
    observing = before;
  }
}

function door(call: Call, next: Next): unknown {
  if (observing || castingDoor()) return next(call.args);
  const decomposition = decompositionOf(call.op);
  if (decomposition?.exact) return decomposition.run(call.args);
  const result = next(call.args);
  notify({ op: call.op, module: call.module, args: call.args, result, by: "model" });
  return result;
}
