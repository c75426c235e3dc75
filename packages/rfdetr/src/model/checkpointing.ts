// Activation checkpointing of a block (Chen et al. 2016, arXiv:1604.06174) under autocast and with dropout.
import { activeAutocast } from "@rfdetr/amp";
import { checkpoint, getRngState, isGradEnabled, keep, type nn, setRngState, type Tensor } from "@rfdetr/torch";

/**
 * Runs `body(inputs)` and saves only its inputs for backward. Backward runs it again, under the same autocast and with
 * the same random numbers, so that the gradients are the same as without checkpointing.
 * @param block the module whose parameters `body` uses
 * @param inputs tensors that `body` reads
 * @param body the forward pass of the block
 * @returns what `body` returned
 */
export function checkpointed(block: nn.Module, inputs: readonly Tensor[], body: (inputs: Tensor[]) => Tensor): Tensor {
  if (!isGradEnabled()) return body([...inputs]);
  const autocast = activeAutocast();
  const device = inputs[0]?.device;
  const rng = keep(getRngState(device));
  let first = true;
  const run = (given: Tensor[]): Tensor => {
    if (first) {
      first = false;
      return body(given);
    }
    const now = getRngState(device);
    setRngState(rng, device);
    try {
      return autocast === null ? body(given) : autocast.run(() => body(given));
    } finally {
      setRngState(now, device);
      rng.dispose();
    }
  };
  return checkpoint(run, inputs, block.parameters());
}
