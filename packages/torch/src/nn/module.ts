// The module tree: parameters, buffers, paths and state dicts with the keys of the Python world.

import { noGrad } from "../autograd.js";
import { type DType, isDType } from "../dtype.js";
import { TorchError } from "../errors.js";
import { enter, leave } from "../module-stack.js";
import { keep, scope, takeHandle } from "../scope.js";
import { Tensor } from "../tensor.js";

/** A tensor that training changes: a leaf that requires grad and belongs to a module. */
export class Parameter extends Tensor {}

/** Makes a parameter that shares the memory of `values`. */
export function parameter(values: Tensor, requiresGrad = true): Parameter {
  const made = keep(new Parameter(takeHandle(values.detach())));
  if (requiresGrad) made.requiresGrad = true;
  return made;
}

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const join = (path: string, name: string): string => (path === "" ? name : name === "" ? path : `${path}.${name}`);

export interface LoadReport {
  /** Keys of the model that the map lacks. */
  missing: string[];
  /** Keys of the map that the model lacks. */
  unexpected: string[];
  /** Keys whose shapes differ; they are not loaded. */
  mismatched: { key: string; expected: number[]; received: number[] }[];
}

/**
 * Base of all modules. Fields that hold a {@link Parameter}, a Module, or an array of Modules are found by themselves; a
 * field `selfAttn` has the state-dict key `self_attn`, an array `layers` the keys `layers.0`, `layers.1`, ….
 * Subclasses write `forward`; callers use `call`, which keeps the module path and frees the temporaries.
 */
export abstract class Module {
  training = true;
  /** Place in the tree, such as `decoder.layers.0`; set when the root is first called or named. */
  path = "";
  #buffers = new Map<string, Tensor>();
  #named = false;

  // biome-ignore lint/suspicious/noExplicitAny: every module has its own arguments
  abstract forward(...args: any[]): unknown;

  /** Runs `forward` inside a scope of its own, with this module as the current one. */
  call(...args: Parameters<this["forward"]>): ReturnType<this["forward"]> {
    if (!this.#named) this.name("");
    enter(this);
    try {
      return scope(() => this.forward(...args) as ReturnType<this["forward"]>);
    } finally {
      leave();
    }
  }

  /** A tensor that belongs to the module's state but is not trained. */
  registerBuffer(name: string, value: Tensor): Tensor {
    this.#buffers.set(name, keep(value));
    return value;
  }
  buffer(name: string): Tensor {
    const found = this.#buffers.get(name);
    if (found === undefined)
      throw new TorchError("ERR_STATE_DICT", `Expected the name of a buffer of ${this.constructor.name} but received ${name}`);
    return found;
  }

  /** Direct children with their key relative to this module; an empty key puts a child's own keys into this module's place. */
  *namedChildren(): Generator<[string, Module]> {
    for (const [field, value] of Object.entries(this)) {
      if (value instanceof Module) yield [snake(field), value];
      else if (Array.isArray(value))
        for (let i = 0; i < value.length; i++) if (value[i] instanceof Module) yield [`${snake(field)}.${i}`, value[i]];
    }
  }

  /** This module and all below it, with paths from here. */
  *namedModules(prefix = ""): Generator<[string, Module]> {
    yield [prefix, this];
    for (const [name, child] of this.namedChildren()) yield* child.namedModules(join(prefix, name));
  }

  *namedParameters(prefix = ""): Generator<[string, Parameter]> {
    const seen = new Set<Parameter>();
    for (const [path, module] of this.namedModules(prefix)) {
      for (const [field, value] of Object.entries(module)) {
        const found =
          value instanceof Parameter
            ? [[snake(field), value] as const]
            : Array.isArray(value)
              ? value.flatMap((v, i) => (v instanceof Parameter ? [[`${snake(field)}.${i}`, v] as const] : []))
              : [];
        for (const [name, tensor] of found) {
          if (seen.has(tensor)) continue;
          seen.add(tensor);
          yield [join(path, name), tensor];
        }
      }
    }
  }

  *namedBuffers(prefix = ""): Generator<[string, Tensor]> {
    for (const [path, module] of this.namedModules(prefix)) for (const [name, tensor] of module.#buffers) yield [join(path, name), tensor];
  }

  parameters(): Parameter[] {
    return [...this.namedParameters()].map(([, tensor]) => tensor);
  }

  /** Parameters and buffers by key. The tensors are the module's own, not copies. */
  stateDict(): Map<string, Tensor> {
    return new Map<string, Tensor>([...this.namedParameters(), ...this.namedBuffers()]);
  }

  /**
   * Copies values into the module's parameters and buffers, converting dtype and device.
   * @throws StateDictError naming the first keys at fault, when `strict` (the default) and a key is missing, unexpected or of another shape.
   * Nothing is changed then.
   */
  loadStateDict(state: Map<string, Tensor>, options: { strict?: boolean } = {}): LoadReport {
    const own = this.stateDict();
    const report: LoadReport = { missing: [], unexpected: [...state.keys()].filter((key) => !own.has(key)), mismatched: [] };
    const fitting: [Tensor, Tensor][] = [];
    for (const [key, target] of own) {
      const source = state.get(key);
      if (source === undefined) report.missing.push(key);
      else if (source.shape.join() !== target.shape.join()) report.mismatched.push({ key, expected: target.shape, received: source.shape });
      else fitting.push([target, source]);
    }
    if ((options.strict ?? true) && (report.missing.length || report.unexpected.length || report.mismatched.length))
      throw new StateDictError(this, report);
    noGrad(() => {
      for (const [target, source] of fitting) target.copy_(source);
    });
    return report;
  }

  train(mode = true): this {
    for (const [, module] of this.namedModules()) module.training = mode;
    return this;
  }
  eval(): this {
    return this.train(false);
  }

  /** Converts floating parameters and buffers to a dtype, or moves everything to a device, in place. */
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

  /** Gives every module below its path. */
  name(path: string): void {
    this.path = path;
    this.#named = true;
    for (const [name, child] of this.namedChildren()) child.name(join(path, name));
  }
}

/** Weights that do not fit a module; `report` lists every key. */
export class StateDictError extends TorchError {
  constructor(
    module: Module,
    readonly report: LoadReport,
  ) {
    const some = (list: string[]): string => list.slice(0, 3).join(", ") + (list.length > 3 ? ` and ${list.length - 3} more` : "");
    const parts = [
      report.missing.length ? `missing ${some(report.missing)}` : "",
      report.unexpected.length ? `unexpected ${some(report.unexpected)}` : "",
      report.mismatched.length
        ? `of another shape ${some(report.mismatched.map((m) => `${m.key} (expected ${m.expected.join("×")}, received ${m.received.join("×")})`))}`
        : "",
    ].filter(Boolean);
    super("ERR_STATE_DICT", `Expected the weights of this ${module.constructor.name} but received weights with keys ${parts.join("; ")}`);
  }
}
