// `rfdetr/train`: the science of a training step, without files, processes or events.
export { EarlyStopping, type EarlyStoppingState } from "./early-stopping.js";
export { Ema, type EmaState } from "./ema.js";
export { scaleOfStep, trainingScales } from "./multi-scale.js";
export { type GroupSettings, parameterGroups } from "./parameter-groups.js";
export { randomBatch } from "./random-batch.js";
export { Schedule, type ScheduleSettings, scheduleFactor } from "./schedule.js";
export type { Fault } from "./settle-step.js";
export { type StepResult, trainingStep } from "./step.js";
export {
  averageOf,
  type MicroBatch,
  prepareImages,
  type StepParts,
  type StepSeconds,
  stepParts,
} from "./step-parts.js";
export type { MicroBatchLoss, StepPart, StepPeers } from "./step-peers.js";
export { type WholeStep, wholeStep } from "./whole-step.js";
