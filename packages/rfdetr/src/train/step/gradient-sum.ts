// The gradients of the shares of a step, added up one share after the other.
import { keep, noGrad, scope, type Tensor } from "@rfdetr/torch";
import type { StepPeers } from "./step-peers.js";

/**
 * Adds up gradients where a process computes several shares of a step. The order of the sums is that of the shares, as
 * it is where each process computes one and the reducer adds them up.
 */
export class GradientSum {
  readonly #sums = new Map<Tensor, Tensor>();

  constructor(
    readonly parameters: readonly Tensor[],
    readonly peers: StepPeers | null,
  ) {}

  /** Adds the gradients of one share of each process, and removes them from the parameters. */
  add(): void {
    noGrad(() => {
      for (const parameter of this.parameters) {
        const { grad } = parameter;
        if (grad === null) continue;
        scope(() => {
          for (const share of this.peers?.gather(grad) ?? [grad]) {
            const sum = this.#sums.get(parameter);
            if (sum === undefined) this.#sums.set(parameter, keep(share.clone()));
            else sum.add_(share);
          }
        });
        parameter.grad = null;
      }
    });
  }

  /** Makes the sums the gradients of the parameters. */
  finish(): void {
    for (const [parameter, sum] of this.#sums) {
      parameter.grad = sum;
      sum.dispose();
    }
  }
}
