// A run in the process that keeps its files: all that its loop works with.

import type { Calibration } from "@rfdetr/amp";
import type { ModelConfig } from "../../model/types.js";
import type { Shape } from "../../support/shape.js";
import type { ClassRow } from "../../weights/classes/class-rows.js";
import type { CallbackRunner } from "../callbacks/callback-runner.js";
import type { SavedProgress } from "../files/checkpoint/checkpoint.js";
import type { RunDirectory } from "../files/run-directory.js";
import type { Leader } from "../ranks/leader.js";
import type { Waits } from "../waits.js";
import type { Training } from "./training.js";

/** A run that is ready to take its next step, in the process that keeps its files. */
export interface Session extends Training {
  directory: RunDirectory;
  /** The other processes of the run. */
  leader: Leader;
  modelConfig: ModelConfig;
  /** Number of trained parameters. */
  parameters: number;
  /** Sizes of multi-scale training, the smallest first; null trains at the resolution. */
  scales: Shape[] | null;
  stepsPerEpoch: number;
  /** The last step by epochs and `max_steps`. */
  mostSteps: number;
  /** The last step; a time budget may move it to an earlier one than {@link mostSteps}. */
  totalSteps: number;
  reason: string;
  /** What the precision costs on this hardware, in words; null where nothing is to be said. */
  precisionNote: string | null;
  /** What was measured to choose the precision; null if nothing was. */
  calibration: Calibration | null;
  progress: SavedProgress;
  /** Watches what the run waits for. */
  waits: Waits;
  /** Null for a run without callbacks. */
  callbacks: CallbackRunner | null;
  /** SHA-256 of the module of the callbacks. */
  callbacksHash: string | null;
  /** Whether the run was begun before, by another process. */
  resumed: boolean;
  /** When the run was first started, ISO 8601. */
  started: string;
  /** The row of the stored class heads that each class started from; null where training started from no weights. */
  classRows: ClassRow[] | null;
  /** What was found and decided while the run was prepared, in sentences to print. */
  notes: string[];
  /** What the user should know; the trainer takes out what it has told. */
  warnings: string[];
}
