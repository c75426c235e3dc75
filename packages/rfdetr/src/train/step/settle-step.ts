// The end of a step: whether it is applied, decided alike by all processes, and the update of the weights.
import { badGradients } from "@rfdetr/amp";
import { optim } from "@rfdetr/torch";
import type { Ema } from "./ema.js";
import type { StepParts } from "./step-parts.js";
import { type RankResult, type StepPeers, sumLosses } from "./step-peers.js";
import type { WholeStep } from "./whole-step.js";

/** What was not finite. */
export interface Fault {
  /** In words. */
  what: string;
  /** The first parameter whose gradient is not finite; null if the loss was at fault. */
  parameter: string | null;
}

/** What became of a step, and what each process did in it. */
interface Settled {
  /** Mean over the micro-batches of the weighted sum of all terms. */
  loss: number;
  /** Means over the micro-batches of the unweighted terms. */
  terms: Map<string, number>;
  /** Global L2 norm of the gradients before clipping; NaN of a step that was not applied. */
  gradNorm: number;
  clipFactor: number;
  fault: Fault | null;
  all: readonly RankResult[];
}

/**
 * Unscales and clips the gradients and steps the optimizer, unless a loss or the norm is not finite: then some gradient
 * is not either. All processes decide alike, by the losses of all and the norm that rank 0 has.
 */
export function settle(
  parts: StepParts,
  own: Omit<RankResult, "gradNorm">,
  whole: WholeStep,
  ema: Ema | null,
  peers: StepPeers | null,
): Settled {
  const { optimizer, scaler } = parts;
  const finite = own.losses.every(({ loss }) => Number.isFinite(loss));
  const measured = finite || peers !== null ? measure(parts) : null;
  const mine = { ...own, gradNorm: measured };
  const all = peers === null ? [mine] : peers.exchange(mine);
  const { loss, terms, bad } = sumLosses(
    all.flatMap(({ losses }) => losses),
    whole.microBatches,
  );
  const norm = all[0].gradNorm ?? Number.NaN;
  if (bad === null && Number.isFinite(norm)) {
    scaler.markFinite();
    // The optimizer multiplies by it as it reads the gradients, which spares a pass over them.
    const factor = optim.clipFactor(norm, parts.clipMaxNorm);
    const step = (): void => optimizer.step({ gradientScale: factor, average: ema?.advance(), freeGradients: true });
    scaler.step({ parameters: optimizer.parameters, step });
    scaler.update();
    return { loss, terms, gradNorm: norm, clipFactor: factor, fault: null, all };
  }
  const fault = bad === null ? badGradient(parts) : badLoss(bad, terms, whole, all);
  if (scaler.enabled) {
    scaler.reject();
    scaler.update();
  }
  return { loss, terms, gradNorm: Number.NaN, clipFactor: 1, fault, all };
}

/** The norm of the gradients, which are unscaled first. */
function measure({ optimizer, scaler }: StepParts): number {
  scaler.unscale(optimizer.parameters);
  return optim.gradientNorm(optimizer.parameters);
}

function badGradient({ model }: StepParts): Fault {
  const [first] = badGradients(model.namedParameters());
  const parameter = first?.name ?? null;
  return { what: parameter === null ? "norm of the gradients" : `gradient of ${parameter}`, parameter };
}

function badLoss(
  number: number,
  terms: ReadonlyMap<string, number>,
  { microBatches }: WholeStep,
  all: readonly RankResult[],
): Fault {
  const rank = all.findIndex(({ losses }) => losses.some((loss) => loss.number === number));
  const where = all.length === 1 ? "" : ` on rank ${rank}`;
  const which = badTerms(terms);
  return {
    what: `loss of micro-batch ${number + 1} of ${microBatches}${where}${which === "" ? "" : ` (${which})`}`,
    parameter: null,
  };
}

/** The kinds of loss that are not finite, such as `loss_giou`, whatever the layer. */
export function badTerms(terms: ReadonlyMap<string, number>): string {
  const bad = [...terms].flatMap(([name, value]) =>
    name.startsWith("loss_") && !Number.isFinite(value) ? [name.replace(/_(\d+|enc)$/, "")] : [],
  );
  return [...new Set(bad)].join(", ");
}
