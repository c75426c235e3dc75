// All that a run is made of, built from its settings, or from its checkpoint.
import { randomInt } from "node:crypto";
import { Autocast, type Precision, resolvePrecision } from "@rfdetr/amp";
import { engine, getRngState, manualSeed, optim, setRngState } from "@rfdetr/torch";
import { Criterion } from "../loss/criterion.js";
import { RFDETRModel } from "../model/rfdetr.js";
import type { ModelConfig } from "../model/types.js";
import { resolveConfig as resolveModel } from "../model/variants.js";
import { resolveDevice } from "../run/device.js";
import { machineLine } from "../run/machine.js";
import { RunDirectory } from "../run/run-directory.js";
import { packageVersion } from "../run/version.js";
import { loadInto, saveWeights } from "../run/weights.js";
import { loadCheckpoint, type Progress, saveCheckpoint } from "./checkpoint.js";
import { toFile } from "./config.js";
import { openTrainData, type TrainData } from "./data.js";
import { Ema } from "./ema.js";
import { trainingScales } from "./multi-scale.js";
import { parameterGroups } from "./parameter-groups.js";
import { initialProgress } from "./progress.js";
import type { RunConfig } from "./resume.js";
import type { TrainRequest } from "./run.js";
import { learningRate } from "./schedule.js";
import type { TrainSettings } from "./settings.js";
import type { StepParts } from "./step.js";

/** A run that is ready to take its next step. */
export class Session {
  constructor(
    readonly settings: TrainSettings,
    readonly seed: number,
    readonly directory: RunDirectory,
    readonly data: TrainData,
    readonly modelConfig: ModelConfig,
    readonly parts: StepParts,
    readonly ema: Ema | null,
    readonly precision: Precision,
    readonly reason: string,
    readonly progress: Progress,
    readonly warnings: readonly string[],
  ) {}
}
