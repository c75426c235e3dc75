// The module tree: parameters, buffers, paths, and state dicts with the keys that the same model has in PyTorch.

import { noGrad } from "../autograd.js";
import { type DType, isDType } from "../dtype.js";
import { TorchError } from "../errors.js";
import { enter, leave } from "../module-stack.js";
import { keep, scope, takeHandle } from "../scope.js";
import { Tensor } from "../tensor.js";

/** A tensor that training changes: a leaf of autograd that belongs to a module. {@link parameter} makes one. */
export class Parameter extends Tensor {}

/**
 * Makes a parameter. It lives until disposed of. It shares the memory of `values`; give a function that makes them
 * where nobody else uses them, and the parameter alone holds the memory.
 *
 * @example
 * class Scale extends nn.Module {
 *   readonly gamma = nn.parameter(() => ones([256]));
 *   override forward(x: Tensor): Tensor {
 *     return x.mul(this.gamma);
 *   }
 * }
 */
export function parameter(values: Tensor | (() => Tensor), requiresGrad = true): Parameter {
  return scope(() => {
    const given = typeof values === "function" ? values() : values;
    const made = keep(new Parameter(takeHandle(given.detach())));
    if (requiresGrad) made.requiresGrad = true;
    return made;
  });
}

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const join = (path: string, name: string): string => (path === "" ? name : name === "" ? path : `${path}.${name}`);

/** What a module holds, with its keys: its fields, and the entries of those that are arrays. */
function* fields(module: Module): Generator<[key: string, value: unknown]> {
  for (const [field, value] of Object.entries(module)) {
    if (!Array.isArray(value)) yield [snake(field), value];
    else for (const [i, entry] of value.entries()) yield [`${snake(field)}.${i}`, entry];
  }
}

/** Keys that did not fit in {@link Module.loadStateDict}. */
export interface LoadReport {
  /** Keys of the model that the map lacks. */
  missing: string[];
  /** Keys of the map that the model lacks. */
  unexpected: string[];
  /** Keys whose shapes differ; they are not loaded. */
  mismatched: { key: string; expected: number[]; received: number[] }[];
}

/**
 * Base of all modules. Fields that hold a {@link Parameter}, a Module, or an array of them are found by their names: a
 * field `selfAttn` has the key `self_attn` in state dicts, an array `layers` the keys `layers.0`, `layers.1`, ….
 * Subclasses define `forward`; callers use `call`, which records where the model is and frees intermediate tensors.
 *
 * @example
 * class Head extends nn.Module {
 *   readonly linear = new nn.Linear(256, 91);
 *   override forward(x: Tensor): Tensor {
 *     return this.linear.call(x).sigmoid();
 *   }
 * }
 * const scores = new Head().call(randn([1, 300, 256]));
 */
export abstract class Module {
  /** Set by {@link train} and {@link eval}. */
  training = true;
  /** Place in the tree, such as `decoder.layers.0`; set when the root is first called, or by {@link name}. */
  path = "";
  #buffers = new Map<string, Tensor>();
  #named = false;

  // biome-ignore lint/suspicious/noExplicitAny: every module has its own arguments
  abstract forward(...args: any[]): unknown;

  /** Runs `forward` in a {@link scope} of its own, as the current module. */
  call(...args: Parameters<this["forward"]>): ReturnType<this["forward"]> {
    if (!this.#named) this.name("");
    enter(this);
    try {
      return scope(() => this.forward(...args) as ReturnType<this["forward"]>);
    } finally {
      leave();
    }
  }

  /** Adds a tensor that belongs to the module's state but is not trained. @returns it */
  registerBuffer(name: string, value: Tensor): Tensor {
    this.#buffers.set(name, keep(value));
    return value;
  }
  /** A registered buffer. @throws RangeError when there is none of that name */
  buffer(name: string): Tensor {
    const found = this.#buffers.get(name);
    if (found === undefined)
      throw new RangeError(`Expected the name of a buffer of ${this.constructor.name} but received ${name}`);
    return found;
  }

  /** Direct children with their keys. A child with an empty key has its own keys at this module's place. */
  *namedChildren(): Generator<[string, Module]> {
    for (const [key, value] of fields(this)) if (value instanceof Module) yield [key, value];
  }

  /** This module and all modules below it, with paths that begin with `prefix`. */
  *namedModules(prefix = ""): Generator<[string, Module]> {
    yield [prefix, this];
    for (const [name, child] of this.namedChildren()) yield* child.namedModules(join(prefix, name));
  }

  /** Parameters of this module and all below it, each once, with their keys. */
  *namedParameters(prefix = ""): Generator<[string, Parameter]> {
    const seen = new Set<Parameter>();
    for (const [path, module] of this.namedModules(prefix)) {
      for (const [key, value] of fields(module)) {
        if (!(value instanceof Parameter) || seen.has(value)) continue;
        seen.add(value);
        yield [join(path, key), value];
      }
    }
  }

  /** Buffers of this module and all below it, with their keys. */
  *namedBuffers(prefix = ""): Generator<[string, Tensor]> {
    for (const [path, module] of this.namedModules(prefix))
      for (const [name, tensor] of module.#buffers) yield [join(path, name), tensor];
  }

  /** Parameters of this module and all below it. */
  parameters(): Parameter[] {
    return [...this.namedParameters()].map(([, tensor]) => tensor);
  }

  /** Parameters and buffers by key. The tensors are the module's own, not copies. */
  stateDict(): Map<string, Tensor> {
    return new Map<string, Tensor>([...this.namedParameters(), ...this.namedBuffers()]);
  }

  /** Frees parameters and buffers at once. The module cannot be used afterwards. */
  dispose(): void {
    for (const tensor of this.stateDict().values()) tensor.dispose();
  }

  /**
   * Copies values into the parameters and buffers, and converts dtype and device.
   * @throws StateDictError naming the first keys at fault, when `strict` (the default) and a key is missing, unexpected
   * or of another shape. Nothing is changed then.
   */
  loadStateDict(state: Map<string, Tensor>, options: { strict?: boolean } = {}): LoadReport {
    const own = this.stateDict();
    const report: LoadReport = {
      missing: [],
      unexpected: [...state.keys()].filter((key) => !own.has(key)),
      mismatched: [],
    };
    const fitting: [Tensor, Tensor][] = [];
    for (const [key, target] of own) {
      const source = state.get(key);
      if (source === undefined) report.missing.push(key);
      else if (source.shape.join() !== target.shape.join())
        report.mismatched.push({ key, expected: target.shape, received: source.shape });
      else fitting.push([target, source]);
    }
    if ((options.strict ?? true) && (report.missing.length || report.unexpected.length || report.mismatched.length))
      throw new StateDictError(this, report);
    noGrad(() => {
      for (const [target, source] of fitting) target.copy_(source);
    });
    return report;
  }

  /** Puts this module and all below it into training mode. @returns this */
  train(mode = true): this {
    for (const [, module] of this.namedModules()) module.training = mode;
    return this;
  }
  /** Puts this module and all below it into evaluation mode. @returns this */
  eval(): this {
    return this.train(false);
  }

  /** Converts floating-point parameters and buffers to a dtype, or moves all to a device, in place. @returns this */
  to(target: DType | (string & {})): this {
    const toDtype = isDType(target);
    for (const tensor of this.stateDict().values()) {
      if (toDtype && !tensor.isFloatingPoint) continue;
      const { requiresGrad } = tensor;
      const converted = tensor.detach().to(target);
      tensor.become(converted);
      if (requiresGrad) tensor.requiresGrad = true;
    }
    return this;
  }

  /** Sets `path` here and in every module below. */
  name(path: string): void {
    this.path = path;
    this.#named = true;
    for (const [name, child] of this.namedChildren()) child.name(join(path, name));
  }
}

/**
 * Weights do not fit a module; `report` lists every key.
 * What to do: load weights of the same architecture, or pass `strict: false` to load those that fit.
 */
export class StateDictError extends TorchError {
  readonly code = "ERR_STATE_DICT";
  constructor(
    module: Module,
    readonly report: LoadReport,
  ) {
    const some = (list: string[]): string =>
      list.slice(0, 3).join(", ") + (list.length > 3 ? ` and ${list.length - 3} more` : "");
    const shapes = report.mismatched.map(
      ({ key, expected, received }) => `${key} (expected ${expected.join("×")}, received ${received.join("×")})`,
    );
    const parts = [
      report.missing.length ? `missing ${some(report.missing)}` : "",
      report.unexpected.length ? `unexpected ${some(report.unexpected)}` : "",
      shapes.length ? `of another shape ${some(shapes)}` : "",
    ].filter(Boolean);
    super(`Expected the weights of this ${module.constructor.name} but received weights with keys ${parts.join("; ")}`);
  }
}
