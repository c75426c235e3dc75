// Autograd beyond Tensor.backward: switching it off, gradients of chosen inputs, nodes written in JavaScript, checkpointing.
import { fromAddon } from "./errors.js";
import { type Handle, native } from "./native.js";
import { keep, scope } from "./scope.js";
import { Tensor } from "./tensor.js";

/** Runs `body` without recording it for backward. */
export function noGrad<T>(body: () => T): T {
  return withGrad(false, body);
}

/** Runs `body` with recording on, also inside {@link noGrad}. */
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

export function isGradEnabled(): boolean {
  return native.isGradEnabled();
}

/**
 * Gradients of `outputs` with respect to `inputs`, without touching any `.grad`.
 * @returns one gradient for each input; null where it was not used and `allowUnused` is set.
 */
export function gradients(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  options: { outputGradients?: readonly (Tensor | null)[]; retainGraph?: boolean; createGraph?: boolean; allowUnused?: boolean } = {},
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
 * Joins `outputs` to `inputs` by a node whose backward is `backward(outputGradients)`, which returns one gradient (or null)
 * for each input. The outputs' own history is cut. Must be called with autograd on; for CPU graphs, whose backward runs on
 * the calling thread.
 */
export function graphNode(
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  backward: (outputGradients: (Tensor | null)[]) => (Tensor | null)[],
): Tensor[] {
  const handles = native.graphNode(
    inputs.map((t) => t.handle),
    outputs.map((t) => t.handle),
    (...gradients) =>
      scope(() => backward(gradients.map((handle) => (handle === null ? null : new Tensor(handle))))).map((t) => t?.handle ?? null),
  );
  return handles.map((handle) => new Tensor(handle));
}

/**
 * Activation checkpointing (Chen et al. 2016, arXiv:1604.06174): runs `body(inputs)` without keeping its intermediates and
 * computes it again in backward. `body` must be deterministic and use no tensor that requires grad besides `inputs` and `parameters`.
 */
export function checkpoint(body: (inputs: Tensor[]) => Tensor, inputs: readonly Tensor[], parameters: readonly Tensor[]): Tensor {
  if (!isGradEnabled()) return body([...inputs]);
  const output = noGrad(() => body([...inputs]));
  // The caller's scope ends before backward: the inputs must outlive it, and go once they have been used.
  const saved = keep(inputs.map((t) => t.detach()));
  const flags = inputs.map((t) => t.requiresGrad);
  const [joined] = graphNode([...inputs, ...parameters], [output], ([gradient]) => {
    const result = scope(() => {
      const again = saved.map((t, i) => {
        const copy = t.detach();
        if (flags[i]) copy.requiresGrad = true;
        return copy;
      });
      const output = enableGrad(() => body(again));
      const wanted = [...again.filter((_, i) => flags[i]), ...parameters.filter((p) => p.requiresGrad)];
      const found = gradients([output], wanted, { outputGradients: [gradient], allowUnused: true });
      let at = 0;
      const forInputs = flags.map((flag) => (flag ? found[at++] : null));
      const forParameters = parameters.map((p) => (p.requiresGrad ? found[at++] : null));
      return [...forInputs, ...forParameters];
    });
    for (const tensor of saved) tensor.dispose();
    return result;
  });
  return joined;
}
