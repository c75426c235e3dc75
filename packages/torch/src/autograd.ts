// Autograd beyond Tensor.backward: switching it off, gradients of chosen inputs, graph nodes in JavaScript,
// checkpointing.
import { fromAddon } from "./errors.js";
import { currentModule, within } from "./module-stack.js";
import { type Handle, native } from "./native.js";
import { keep, scope } from "./scope.js";
import { received, Tensor } from "./tensor.js";

/**
 * Runs `body` without recording it for backward.
 *
 * @example
 * const prediction = noGrad(() => model.call(images));
 */
export function noGrad<T>(body: () => T): T {
  return withGrad(false, body);
}

/** Runs `body` and records it for backward, also inside {@link noGrad}. */
export function enableGrad<T>(body: () => T): T {
  return withGrad(true, body);
}

function withGrad<T>(enabled: boolean, body: () => T): T {
  const before = native.setGradEnabled(enabled);
  try {
    return body();
  } finally {
    native.setGradEnabled(before);
  }
}

/** Whether operators are recorded for backward now. */
export function isGradEnabled(): boolean {
  return native.isGradEnabled();
}

/**
 * Gradients of `outputs` with respect to `inputs`; no `grad` changes. As torch.autograd.grad.
 * @param options `outputGradients` has one for each output, of its shape, and may be left out for scalars;
 * `retainGraph` allows another backward; `createGraph` records this one
 * @returns one gradient for each input; null where the input was not used and `allowUnused` is set
 * @throws OperatorError with libtorch's text
 *
 * @example
 * const x = tensor([1, 2], { requiresGrad: true });
 * const [slope] = gradients([x.mul(x).sum()], [x]);
 * slope?.toList(); // [2, 4]
 */
export function gradients(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  options: {
    outputGradients?: readonly (Tensor | null)[];
    retainGraph?: boolean;
    createGraph?: boolean;
    allowUnused?: boolean;
  } = {},
): (Tensor | null)[] {
  let handles: (Handle | null)[];
  try {
    handles = native.gradients(
      outputs.map((t) => t.handle),
      inputs.map((t) => t.handle),
      options.outputGradients?.map((t) => t?.handle ?? null) ?? null,
      options.retainGraph ?? options.createGraph ?? false,
      options.createGraph ?? false,
      options.allowUnused ?? false,
    );
  } catch (error) {
    throw fromAddon(error);
  }
  return handles.map((handle) => (handle === null ? null : new Tensor(handle)));
}

/**
 * Makes a node of the graph that leads from `outputs` back to `inputs`. Its backward is `backward(outputGradients)`,
 * which returns one gradient (or null) for each input: backward throws a TypeError for anything else. The outputs' own
 * history is cut. Autograd must be on.
 * @returns the outputs with their new history
 */
export function graphNode(
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  backward: (outputGradients: (Tensor | null)[]) => (Tensor | null)[],
): Tensor[] {
  const handles = native.graphNode(
    inputs.map((t) => t.handle),
    outputs.map((t) => t.handle),
    (...gradients) => {
      const result: unknown = scope(() => backward(gradients.map((t) => (t === null ? null : new Tensor(t)))));
      if (!Array.isArray(result))
        throw new TypeError(`Expected a list of gradients from a graph node but received ${received(result)}`);
      return result.map((t) => {
        if (t instanceof Tensor || t == null) return t?.handle ?? null;
        throw new TypeError(`Expected a list of tensors and nulls from a graph node but received ${received(t)}`);
      });
    },
  );
  return handles.map((handle) => new Tensor(handle));
}

/**
 * Activation checkpointing (Chen et al. 2016, arXiv:1604.06174): runs `body(inputs)` without keeping its intermediate
 * results, and computes them again in backward, as a part of the same module. `body` must be deterministic, and may use
 * no tensor that requires grad except `inputs` and `parameters`.
 *
 * @example
 * const block = new nn.Linear(64, 64);
 * const x = randn([2, 64]);
 * checkpoint(([x]) => block.call(x as Tensor).relu(), [x], block.parameters()).sum().backward();
 */
export function checkpoint(
  body: (inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  parameters: readonly Tensor[],
): Tensor {
  if (!isGradEnabled()) return body([...inputs]);
  const output = noGrad(() => body([...inputs]));
  const module = currentModule();
  // The caller's scope ends before backward: the inputs must outlive it until they have been used.
  const saved = keep(inputs.map((t) => t.detach()));
  const flags = inputs.map((t) => t.requiresGrad);
  const [joined] = graphNode([...inputs, ...parameters], [output], ([gradient]) => {
    const result = scope(() => {
      const again = saved.map((t, i) => {
        const copy = t.detach();
        if (flags[i]) copy.requiresGrad = true;
        return copy;
      });
      const output = enableGrad(() => within(module, () => body(again)));
      const wanted = [...again.filter((_, i) => flags[i]), ...parameters.filter((p) => p.requiresGrad)];
      const options = { outputGradients: [gradient as Tensor | null], allowUnused: true };
      const found = gradients([output], wanted, options).values();
      const next = (wanted: boolean) => (wanted ? (found.next().value ?? null) : null);
      return [...flags.map(next), ...parameters.map((p) => next(p.requiresGrad))];
    });
    for (const tensor of saved) tensor.dispose();
    return result;
  });
  return joined as Tensor;
}
