// Scopes, the one memory rule: a tensor that is made inside a scope and not returned from it is freed at its end.

import { DisposedError } from "./errors.js";
import { native } from "./native.js";
import { isThenable } from "./thenable.js";

/** A tensor as a scope sees it. The class is in tensor.ts; importing it here would make a circle of imports. */
export interface Owned {
  /** Index in the addon's table; negative once disposed. */
  handle: number;
  /** Tells a scope that ends which tensors leave it. */
  mark: number;
}

class Scope {
  readonly tensors: Owned[] = [];
  constructor(readonly parent: Scope | null) {}
}

let current: Scope | null = null;
let marks = 0;

/** Frees tensors that no scope owns, once they are garbage. */
const forgotten = new FinalizationRegistry<number>((handle) => native.release(handle));

/** Gives a fresh tensor to the innermost scope, or to the garbage collector where there is none. */
export function own(tensor: Owned): void {
  if (current !== null) current.tensors.push(tensor);
  else forgotten.register(tensor, tensor.handle, tensor);
}

/** Frees a tensor now. Using it afterwards is an error; disposing of it again is not. */
export function disown(tensor: Owned): void {
  if (tensor.handle < 0) return;
  forgotten.unregister(tensor);
  free(tensor);
}

/**
 * Takes the handle out of a tensor object, which is disposed of afterwards; the caller must release the handle.
 * @throws DisposedError
 */
export function takeHandle(tensor: Owned): number {
  const { handle } = tensor;
  if (handle < 0) throw new DisposedError();
  forgotten.unregister(tensor);
  tensor.handle = -1;
  return handle;
}

/** Frees the memory of a tensor object and gives it another handle. */
export function replaceHandle(tensor: Owned, handle: number): void {
  const registered = forgotten.unregister(tensor);
  if (tensor.handle >= 0) native.release(tensor.handle);
  tensor.handle = handle;
  if (registered) forgotten.register(tensor, handle, tensor);
}

const KEPT = -1;

/**
 * Takes a tensor, or all tensors inside arrays, maps, sets and objects, out of every scope. They live until `dispose()`
 * or until they are garbage.
 * @returns `value` itself
 *
 * @example
 * const mean = scope(() => keep(randn([8, 8]).mean()));
 * mean.dispose();
 */
export function keep<T>(value: T): T {
  eachOwned(value, (owned) => {
    if (owned.mark === KEPT) return;
    owned.mark = KEPT;
    forgotten.register(owned, owned.handle, owned);
  });
  return value;
}

/**
 * Runs `body` and frees every tensor made inside, except those given to {@link keep} and those in its result, which
 * then belong to the enclosing scope. A result is searched through arrays, maps, sets and objects. When `body` throws,
 * everything is freed.
 * @throws TypeError when `body` returns a promise: a scope ends when its function returns
 *
 * @example
 * const loss = scope(() => images.sub(0.5).pow(2).mean()); // only the mean is left
 */
export function scope<T>(body: () => T): T {
  const inner = new Scope(current);
  current = inner;
  let result: T;
  try {
    result = body();
    if (isThenable(result))
      throw new TypeError(
        "Expected a synchronous function for scope() but received an async one: a scope ends when its function returns",
      );
  } catch (error) {
    for (const tensor of inner.tensors) if (tensor.mark !== KEPT) free(tensor);
    throw error;
  } finally {
    current = inner.parent;
  }
  const mark = ++marks;
  eachOwned(result, (owned) => {
    if (owned.mark !== KEPT) owned.mark = mark;
  });
  for (const tensor of inner.tensors) {
    if (tensor.mark === KEPT || tensor.handle < 0) continue;
    if (tensor.mark === mark) own(tensor);
    else free(tensor);
  }
  return result;
}

function free(tensor: Owned): void {
  if (tensor.handle < 0) return;
  native.release(tensor.handle);
  tensor.handle = -1;
}

let isOwned = (_value: object): _value is Owned => false;

/** Says which objects are tensors. */
export function defineOwned(test: (value: object) => value is Owned): void {
  isOwned = test as typeof isOwned;
}

/** Calls `visit` for every tensor in a value: itself, or inside arrays, maps, sets and objects. */
function eachOwned(value: unknown, visit: (tensor: Owned) => void, seen?: Set<object>): void {
  if (typeof value !== "object" || value === null) return;
  if (isOwned(value)) {
    visit(value);
    return;
  }
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return;
  const visited = seen ?? new Set<object>();
  if (visited.has(value)) return;
  visited.add(value);
  if (Array.isArray(value) || value instanceof Set) {
    for (const element of value) eachOwned(element, visit, visited);
  } else if (value instanceof Map) {
    for (const element of value.values()) eachOwned(element, visit, visited);
  } else {
    for (const key in value) eachOwned((value as Record<string, unknown>)[key], visit, visited);
  }
}
