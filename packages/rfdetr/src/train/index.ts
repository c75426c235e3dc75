// `rfdetr/train`: a training step and all that decides what it does, without files, processes or events.

export { randomBatch } from "./measure/random-batch.js";
export { type GroupSettings, parameterGroups } from "./parameters/parameter-groups.js";
export { EarlyStopping, type EarlyStoppingState } from "./schedule/early-stopping.js";
export { scaleOfStep, trainingScales } from "./schedule/multi-scale.js";
export { Schedule, type ScheduleSettings, scheduleFactor } from "./schedule/schedule.js";
export { Ema, type EmaState } from "./step/ema.js";
export type { Fault } from "./step/settle-step.js";
export { type StepObserver, type StepOptions, type StepResult, trainingStep } from "./step/step.js";
export {
  averageOf,
  type MicroBatch,
  prepareImages,
  type StepParts,
  type StepSeconds,
  stepParts,
} from "./step/step-parts.js";
export type { MicroBatchLoss, RankResult, StepPeers } from "./step/step-peers.js";
export { type WholeStep, wholeStep } from "./step/whole-step.js";
