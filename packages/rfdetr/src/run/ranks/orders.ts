// The orders of rank 0 to all processes of a run, and the status that each process sends before it obeys one.
import type { Overrides, Precision, ScalerState } from "@rfdetr/amp";
import type { ModelConfig } from "../../model/types.js";
import type { ReadySettings } from "../../settings/settings.js";
import type { DoneEvent } from "../events/events.js";
import type { DataSizes } from "../session/training-data.js";
import type { StepPlan } from "../steps/take-step.js";

/** What follows the order to take the state of rank 0, beside tensors. */
export interface StateFigures {
  optimizerStep: number;
  averageUpdates: number;
  scaler: ScalerState | null;
}

/** What all processes do next, together with rank 0. */
export type Order =
  | { do: "open"; settings: ReadySettings; sizes: DataSizes }
  | { do: "build"; modelConfig: ModelConfig; precision: Precision; overrides: Overrides; totalSteps: number }
  | { do: "state"; figures: StateFigures }
  | { do: "compare" }
  | { do: "epoch"; epoch: number; from: number }
  | { do: "step"; plan: StepPlan }
  | { do: "replay"; scale: number }
  | { do: "evaluate"; split: "valid" | "test"; batch: number; shipped: boolean; loss: boolean }
  | { do: "override"; overrides: Overrides }
  | { do: "wait" }
  | { do: "end"; done: DoneEvent | null };

/** What each process sends before an order is obeyed. */
export interface RankStatus {
  host: string;
  /** Of rank 0; null of the others. */
  order: Order | null;
  /** Boxes of each of its micro-batches of the next step; null where it has none. */
  boxes: readonly number[] | null;
  /** The value of its flag to stop; 0 where it was not asked to. */
  stop: number;
  /** What the user should know. */
  warnings: readonly string[];
  /** Sentences for images that were left out since the last status. */
  leftOut: readonly string[];
  /** What its data hold, as text to compare; null before they were opened. */
  contents: string | null;
}
