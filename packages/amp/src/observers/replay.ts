// Finds where a value stopped being finite: runs the step again and observes every operator.
import { type nn, noGrad, ops, scope, setRngState, type Tensor } from "@rfdetr/torch";
import { badGradients } from "../finite.js";
import type { Fault, FaultPhase, TensorFacts, TrailEntry } from "../numerics/fault.js";
import { type OperatorEvent, observe, unobserved } from "../observe.js";
import { quietOperators } from "../policy/policy.js";
import { floatingTensors, placeName } from "../tensors.js";

/** A failed step to run again. */
export interface Replay {
  model: nn.Module;
  /** The tensors that the model is given, by name. */
  inputs: readonly (readonly [name: string, Tensor])[];
  /**
   * Runs forward, loss and backward as the step did, with the same precision and the same loss scale, but without the
   * optimizer.
   */
  run: () => void;
  /** The state of the random generator before the step; null or undefined where nothing is random. */
  rngState?: Tensor | null;
}

/** The most modules of a trail. */
const trailLength = 20;

/** The part of a fault that is seen while the step runs. */
type Found = Omit<Fault, "bad_parameter" | "bad_parameters">;

/**
 * Knows which modules read an output, directly or through casts and views. The gradient of the output comes from these
 * modules.
 */
class Readers {
  readonly #sources = new Map<Tensor, Tensor>();
  readonly #places = new Map<Tensor, Set<string>>();

  see(event: OperatorEvent, place: string): void {
    const inputs = floatingTensors(event.args).map((tensor) => this.#sources.get(tensor) ?? tensor);
    if (event.by === "cast" || (quietOperators.has(event.op.base) && inputs.length === 1)) {
      const [source] = inputs;
      if (source !== undefined) for (const output of floatingTensors(event.result)) this.#sources.set(output, source);
      return;
    }
    if (event.rounded !== undefined) this.#sources.set(event.rounded, event.result as Tensor);
    for (const input of inputs) {
      const places = this.#places.get(input);
      if (places === undefined) this.#places.set(input, new Set([place]));
      else places.add(place);
    }
  }

  of(tensor: Tensor): string[] {
    return [...(this.#places.get(tensor) ?? [])];
  }
}

/**
 * Runs a failed step again and reports the first value that was not finite: in the inputs, the weights, the output of a
 * module, the loss or a gradient. It drops the gradients of the model before and after. It takes about as long as two
 * steps.
 * @throws whatever `run` throws before a fault was found
 * @example
 * import { faultHeadline, replay } from "@rfdetr/amp";
 * const run = () => lossOf(model.call(images)).backward();
 * console.log(faultHeadline(replay({ model, inputs: [["images", images]], run })));
 */
export function replay(options: Replay): Fault {
  const { model } = options;
  const named = [...model.namedParameters()];
  const state = [...model.stateDict()];
  const names = new Map<Tensor, string>(state.map(([name, tensor]) => [tensor, name]));
  const drop = (): void =>
    named.forEach(([, p]) => {
      p.grad = null;
    });
  const given = firstBad(options.inputs);
  const spoiled = given === null ? firstBad(state) : null;
  let found: Found = { ...nothing };
  let bad: ReturnType<typeof badGradients> = [];
  if (given !== null) found = { ...nothing, phase: "input", module: given.name, inputs: [given] };
  else if (spoiled !== null) found = { ...nothing, phase: "weight", module: spoiled.name, weights: [spoiled] };
  else {
    drop();
    if (options.rngState) setRngState(options.rngState, options.model.parameters()[0]?.device);
    found = watch(options.run, names);
    bad = badGradients(named);
    if (found.phase === "none" && bad.length > 0) found = { ...found, phase: "backward" };
    drop();
  }
  return { ...found, bad_parameter: bad[0]?.name ?? null, bad_parameters: bad.length };
}

const nothing: Found = {
  phase: "none",
  module: null,
  operator: null,
  inputs: [],
  weights: [],
  output: null,
  trail: [],
  readers: [],
};

/** Observes one run and returns the first fault. */
function watch(run: () => void, names: ReadonlyMap<Tensor, string>): Found {
  const trail: TrailEntry[] = [];
  const readers = new Readers();
  const hooks: (() => void)[] = [];
  let found: Found | null = null;
  // Operators of gradient hooks do not belong to the forward. The next module that runs does.
  let inBackward = false;
  const stop = observe((event) => {
    if (event.module !== null) inBackward = false;
    if (found !== null || inBackward || event.op.inPlace) return;
    const place = placeName(event.module?.path ?? null);
    readers.see(event, place);
    if (event.by === "cast") return;
    for (const output of floatingTensors(event.result)) {
      const amax = largest(output);
      // A mask of infinities is intended. An operator that computes with it is still examined.
      if (!Number.isFinite(amax) && !quietOperators.has(event.op.base)) {
        found = fault(event, place, output, names, [...trail]);
        return;
      }
      const differentiated = output.requiresGrad && !quietOperators.has(event.op.base);
      for (const form of differentiated ? floatingTensors([output, event.rounded]) : [])
        hooks.push(form.registerHook((gradient) => arrived(gradient, event.op.base, place, output)));
      const last = trail[trail.length - 1];
      if (quietOperators.has(event.op.base)) continue;
      if (last?.path === place)
        Object.assign(last, { operator: event.op.base, dtype: output.dtype, amax: Math.max(last.amax, amax) });
      else trail.push({ path: place, operator: event.op.base, dtype: output.dtype, amax });
      if (trail.length > trailLength) trail.shift();
    }
  });
  const arrived = (gradient: Tensor, operator: string, place: string, of: Tensor): undefined => {
    inBackward = true;
    if (found !== null) return;
    unobserved(() => {
      if (!Number.isFinite(largest(gradient)))
        found = {
          ...nothing,
          phase: "backward",
          module: place,
          operator,
          output: factsOf(`gradient at ${place}`, gradient),
          readers: readers.of(of),
          trail: [...trail],
        };
    });
  };
  try {
    run();
  } catch (error) {
    // A loss may refuse values that are not finite. Without a fault, the error has another cause.
    if (found === null) throw error;
  } finally {
    stop();
    for (const remove of hooks) remove();
  }
  return found ?? { ...nothing, trail: [] };
}

function fault(
  event: OperatorEvent,
  place: string,
  output: Tensor,
  names: ReadonlyMap<Tensor, string>,
  trail: TrailEntry[],
): Found {
  const inputs: TensorFacts[] = [];
  const weights: TensorFacts[] = [];
  event.args.forEach((value, i) => {
    // A low-precision copy of a weight has no name of its own; the name of the argument tells that it is one.
    const argument = event.op.arguments[i]?.name ?? `argument ${i}`;
    for (const tensor of floatingTensors(value)) {
      const name = names.get(tensor);
      if (name !== undefined) weights.push(factsOf(name, tensor));
      else if (argument === "weight" || argument === "bias")
        weights.push(factsOf(event.module ? `${placeName(event.module.path)}.${argument}` : argument, tensor));
      else inputs.push(factsOf(argument, tensor));
    }
  });
  const givenBad = inputs.some((facts) => facts.nan > 0 || facts.infinite > 0);
  const phase: FaultPhase = event.module !== null ? "forward" : givenBad ? "target" : "loss";
  return {
    phase,
    module: event.module === null ? null : place,
    operator: event.op.base,
    inputs,
    weights,
    output: factsOf("output", output),
    trail,
    readers: [],
  };
}

function largest(tensor: Tensor): number {
  if (tensor.numel === 0) return 0;
  return noGrad(() =>
    scope(() => {
      const [low, high] = ops.aminmax(tensor.detach());
      return Math.max(Math.abs(low.item()), Math.abs(high.item()));
    }),
  );
}

function firstBad(tensors: readonly (readonly [string, Tensor])[]): TensorFacts | null {
  for (const [name, tensor] of tensors)
    if (tensor.isFloatingPoint && !Number.isFinite(largest(tensor))) return factsOf(name, tensor);
  return null;
}

/** The extremes of the finite values of a tensor, and the number of the others. */
function factsOf(name: string, tensor: Tensor): TensorFacts {
  return noGrad(() =>
    scope(() => {
      const facts: TensorFacts = {
        name,
        dtype: tensor.dtype,
        shape: [...tensor.shape],
        min: 0,
        max: 0,
        amax: 0,
        nan: 0,
        infinite: 0,
      };
      if (tensor.numel === 0) return facts;
      const x = tensor.detach();
      facts.nan = ops.isnan(x).sum().item();
      facts.infinite = ops.isinf(x).sum().item();
      const finite = facts.nan + facts.infinite === 0 ? x : ops.maskedSelect(x, x.isfinite());
      if (finite.numel > 0) {
        const [low, high] = ops.aminmax(finite);
        facts.min = low.item();
        facts.max = high.item();
        facts.amax = Math.max(Math.abs(facts.min), Math.abs(facts.max));
      }
      return facts;
    }),
  );
}
