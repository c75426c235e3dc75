// Activation checkpointing of a block (Chen et al. 2016, arXiv:1604.06174) as mixed precision and dropout need it.
import { activeAutocast } from "@rfdetr/amp";
import { checkpoint, getRngState, isGradEnabled, keep, type nn, setRngState, type Tensor } from "@rfdetr/torch";

/**
 * Runs `body(inputs)` of a block and keeps nothing of it for backward but its inputs; backward runs it again, under the
 * same autocast and with the same random numbers, so that the gradients are those of the first run.
 * @param block module whose parameters `body` uses
 */
export function checkpointed(block: nn.Module, inputs: readonly Tensor[], body: (inputs: Tensor[]) => Tensor): Tensor {
  if (!isGradEnabled()) return body([...inputs]);
  const autocast = activeAutocast();
  const rng = keep(getRngState());
  let first = true;
  const run = (given: Tensor[]): Tensor => {
    if (first) {
      first = false;
      return body(given);
    }
    const now = getRngState();
    setRngState(rng);
    try {
      return autocast === null ? body(given) : autocast.run(() => body(given));
    } finally {
      setRngState(now);
      rng.dispose();
    }
  };
  return checkpoint(run, inputs, block.parameters());
}
