// Finds what of a run's state is not finite, and repairs it from what is: weights from their average, the average from
// the weights, moments from zero.
import { nonFinite } from "@rfdetr/amp";
import { noGrad, ops, scope, type Tensor } from "@rfdetr/torch";
import type { Session } from "../session/session.js";

/** What was found in the state of a run, and what became of it. */
export interface Repair {
  /** What was repaired, a sentence for each kind. */
  repaired: string[];
  /** Names of weights that have no finite copy. */
  lost: string[];
  /** L2 norm of all weights. */
  norm: number;
}

/**
 * Checks weights, average and moments in one pass each, and repairs the tensors that are not finite. A second moment is
 * never negative either: AdamW takes its root.
 */
export function repairState({
  parts: { model, optimizer },
  ema,
  progress,
}: Pick<Session, "parts" | "ema" | "progress">): Repair {
  return noGrad(() =>
    scope(() => {
      const weights = floating(model.stateDict());
      const average = floating(ema?.state().tensors ?? new Map());
      const { expAvg, expAvgSq, expAvgScale, expAvgSqScale } = optimizer.stateDict();
      // The scales tell of their codes: those of a value that is not finite are NaN.
      const first = expAvg.map((values, i) => expAvgScale[i] ?? values);
      const second = expAvgSq.map((values, i) => expAvgSqScale[i] ?? values);
      const norm = normOf([...weights.values()]);
      const sound = [norm, normOf([...average.values()]), normOf([...first, ...second])].every(Number.isFinite);
      if (sound && second.every(isNonNegative)) return { repaired: [], lost: [], norm };

      const badWeights = nonFinite(weights);
      const badAverage = nonFinite(average);
      const lost = badWeights.filter((name) => !average.has(name) || badAverage.includes(name));
      const fromAverage = badWeights.filter((name) => !lost.includes(name));
      const fromWeights = badAverage.filter((name) => !badWeights.includes(name));
      for (const name of fromAverage) weights.get(name)?.copy_(average.get(name) as Tensor);
      for (const name of fromWeights) average.get(name)?.copy_(weights.get(name) as Tensor);
      const names = new Map([...model.namedParameters()].map(([name, parameter]) => [parameter, name]));
      const restarted = optimizer.parameters.flatMap((parameter, i) => {
        const moments = [first[i], second[i]];
        if (moments.every((moment) => Number.isFinite(normOf([moment]))) && isNonNegative(second[i])) return [];
        optimizer.clearMoments(i);
        return [names.get(parameter) ?? `parameter ${i}`];
      });
      const seen = `first seen after step ${progress.step}`;
      const repaired = [
        ...tell(
          fromAverage,
          (what) => `The weights ${what} were not finite, ${seen}: they continue from their average`,
        ),
        ...tell(
          fromWeights,
          (what) => `The average of ${what} was not finite, ${seen}: it begins again from the weights`,
        ),
        ...tell(
          restarted,
          (what) => `The moments of ${what} were not finite or negative, ${seen}: they begin again from zero`,
        ),
      ];
      return { repaired, lost, norm: lost.length > 0 ? Number.NaN : normOf([...weights.values()]) };
    }),
  );
}

/** The first of some names and how many more there are. */
export function someOf(names: readonly string[]): string {
  return names.length === 1 ? names[0] : `${names[0]} and ${names.length - 1} more`;
}

function tell(names: readonly string[], sentence: (what: string) => string): string[] {
  return names.length === 0 ? [] : [sentence(someOf(names))];
}

function floating(tensors: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  return new Map([...tensors].filter(([, tensor]) => tensor.isFloatingPoint && tensor.numel > 0));
}

function isNonNegative(tensor: Tensor): boolean {
  return tensor.numel === 0 || tensor.min().item() >= 0;
}

/** The L2 norm of all elements; not finite where an element is not. The kernel adds in float64 in one pass. */
function normOf(tensors: readonly Tensor[]): number {
  if (tensors.length === 0) return 0;
  if (tensors.every((t) => t.dtype === "float32" && t.device === "cpu" && t.isContiguous))
    return ops.gradientNorm(tensors);
  return ops.linalgVectorNorm(ops.stack(ops._foreachNorm(tensors).map((norm) => norm.to("float64")))).item();
}
