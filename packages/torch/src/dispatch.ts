// The entry point of operators. Every call goes through `dispatch`, where interceptors see it and may change it.

import { fromAddon, OperatorError } from "./errors.js";
import { currentModule, type RunningModule } from "./module-stack.js";
import { native } from "./native.js";
import { Tensor } from "./tensor.js";

/** An argument of an operator's schema. */
export interface ArgumentInfo {
  name: string;
  /** `Tensor`, `Tensor[]`, `Tensor?[]`, `Scalar`, `int`, `int[]`, `float`, `bool`, `str`, `dtype`, `device`, … */
  kind: string;
  optional: boolean;
  hasDefault: boolean;
}

/**
 * An operator of libtorch's dispatcher, such as `aten::add` with the overload `Tensor`. It is looked up on first use.
 * {@link operator} makes them.
 */
export class Operator {
  /** The name without its namespace, such as `add`. */
  readonly base: string;
  /** Whether it writes into its first argument and returns it, as a name that ends in one underscore says. */
  readonly inPlace: boolean;
  #id = -1;
  #arguments: ArgumentInfo[] = [];
  #results: string[] = [];

  constructor(
    readonly name: string,
    readonly overload = "",
  ) {
    this.base = name.slice(name.indexOf("::") + 2);
    this.inPlace = this.base.endsWith("_") && !this.base.endsWith("__");
  }

  /** The addon's number for it. @throws OperatorError when libtorch has no such operator */
  get id(): number {
    if (this.#id < 0) {
      const id = native.findOperator(this.name, this.overload);
      if (id < 0) {
        const version = native.engineVersion();
        throw new OperatorError(`Expected an operator of libtorch ${version} but received ${this}`);
      }
      const [args, results] = native.operatorSchema(id);
      this.#arguments = args.map(([name, kind, optional, hasDefault]) => ({ name, kind, optional, hasDefault }));
      this.#results = results;
      this.#id = id;
    }
    return this.#id;
  }

  /** In the order of the schema. */
  get arguments(): readonly ArgumentInfo[] {
    return this.id >= 0 ? this.#arguments : [];
  }

  /** Kinds of what it returns, as in {@link ArgumentInfo}. */
  get results(): readonly string[] {
    return this.id >= 0 ? this.#results : [];
  }

  toString(): string {
    return this.overload === "" ? this.name : `${this.name}.${this.overload}`;
  }
}

const known = new Map<string, Operator>();

/**
 * The operator of a name and overload; always the same object.
 *
 * @example
 * const add = operator("aten::add", "Tensor");
 */
export function operator(name: string, overload = ""): Operator {
  const key = `${name}.${overload}`;
  let found = known.get(key);
  if (found === undefined) {
    found = new Operator(name, overload);
    known.set(key, found);
  }
  return found;
}

/** A call as an interceptor sees it. */
export interface Call {
  readonly op: Operator;
  /** In the order of the schema; `undefined` or `null` stands for the default. */
  readonly args: unknown[];
  /** The innermost module whose forward is running, if any. */
  readonly module: RunningModule | null;
}

/** Carries on with a call and returns its result. */
export type Next = (args: unknown[]) => unknown;
/** Sees every call of an operator and returns its result. */
export type Interceptor = (call: Call, next: Next) => unknown;

const interceptors: Interceptor[] = [];
type Dispatch = (op: Operator, args: unknown[]) => unknown;
let chain: Dispatch | null = null;

/**
 * Adds an interceptor to the chain of this thread; the first installed is outermost. A call that an interceptor makes
 * itself passes the whole chain again.
 * @returns a function that removes it
 *
 * @example
 * const remove = intercept((call, next) => {
 *   console.log(call.op.toString(), call.module?.path);
 *   return next(call.args);
 * });
 */
export function intercept(interceptor: Interceptor): () => void {
  interceptors.push(interceptor);
  rebuild();
  return () => {
    const at = interceptors.indexOf(interceptor);
    if (at < 0) return;
    interceptors.splice(at, 1);
    rebuild();
  };
}

function rebuild(): void {
  chain = null;
  for (const interceptor of [...interceptors].reverse()) {
    const inner: Dispatch = chain ?? invoke;
    chain = (op, args) => interceptor({ op, args, module: currentModule() }, (next) => inner(op, next));
  }
}

/**
 * Calls an operator by its schema. `args` follow the order of the schema; `undefined` or `null` stands for the default.
 * @throws OperatorError with the operator, its arguments, libtorch's text and the module path
 */
export function dispatch(op: Operator, args: unknown[]): unknown {
  return chain === null ? invoke(op, args) : chain(op, args);
}

function invoke(op: Operator, args: unknown[]): unknown {
  const id = op.id;
  const values = new Array<unknown>(args.length);
  for (let i = 0; i < args.length; i++) {
    const value = args[i];
    if (value instanceof Tensor) values[i] = value.handle;
    else if (Array.isArray(value) && value.length > 0 && typeof value[0] === "object") values[i] = value.map(handleOf);
    else if (Array.isArray(value) && value.length > 1 && value[0] === undefined) values[i] = value.map(handleOf);
    else values[i] = value;
  }
  let result: unknown;
  try {
    result = native.call(id, ...values);
  } catch (error) {
    throw located(error);
  }
  if (op.inPlace && args[0] instanceof Tensor && typeof result === "number") {
    native.release(result);
    return args[0];
  }
  const results = op.results;
  if (results.length === 1) return wrap(results[0] as string, result);
  if (results.length === 0) return undefined;
  const list = result as unknown[];
  for (let i = 0; i < list.length; i++) list[i] = wrap(results[i] as string, list[i]);
  return list;
}

function handleOf(value: unknown): unknown {
  return value instanceof Tensor ? value.handle : value;
}

function wrap(kind: string, value: unknown): unknown {
  if (kind === "Tensor") return value === null ? null : new Tensor(value as number);
  if (kind === "Tensor[]") return (value as number[]).map((handle) => new Tensor(handle));
  return value;
}

function located(error: unknown): unknown {
  const path = currentModule()?.path;
  if (path && error instanceof Error) error.message += ` (in module ${path})`;
  return fromAddon(error);
}
