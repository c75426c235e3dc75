// The state of a run, copied from rank 0 to the other processes.
import { noGrad, ops, scope } from "@rfdetr/torch";
import type { Training } from "../session/training.js";
import type { StateFigures } from "./orders.js";
import type { Ranks } from "./ranks.js";

type Stateful = Pick<Training, "parts" | "ema">;

/** What of the state is no tensor. */
export function stateFigures({ parts: { optimizer, scaler }, ema }: Stateful): StateFigures {
  return {
    optimizerStep: optimizer.steps,
    averageUpdates: ema?.updates ?? 0,
    scaler: scaler.enabled ? scaler.stateDict() : null,
  };
}

/** Copies weights, average and moments of rank 0 to all others. */
export function broadcastState({ parts: { model, optimizer }, ema }: Stateful, ranks: Ranks): void {
  const average = ema === null ? [] : [...ema.state().tensors.values()];
  ranks.broadcast([...model.stateDict().values(), ...average, ...optimizer.stateTensors()]);
}

/** A sum over the bits of all weights: other last digits anywhere give another one. */
export function sumOfBits({ parts: { model } }: Pick<Training, "parts">): string {
  return noGrad(() =>
    scope(() => {
      const floats = [...model.stateDict().values()].filter(({ dtype, numel }) => dtype === "float32" && numel > 0);
      const sums = floats.map((tensor) => ops.view(tensor.contiguous(), "int32").sum().item());
      return sums.join(" ");
    }),
  );
}

/** Takes the figures that belong to the tensors of {@link broadcastState}. */
export function takeFigures({ parts: { optimizer, scaler }, ema }: Stateful, figures: StateFigures): void {
  optimizer.loadStateDict({ ...optimizer.stateDict(), step: figures.optimizerStep });
  ema?.load({ ...ema.state(), updates: figures.averageUpdates });
  if (figures.scaler !== null) scaler.loadStateDict(figures.scaler);
}
