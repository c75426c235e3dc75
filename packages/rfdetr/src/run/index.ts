// `rfdetr/run`: a training run, its events and its folder. Loads no libtorch: a run trains in a thread of its own.
export {
  type ControlAnswer,
  type ControlCommand,
  type ControlOptions,
  type ControlState,
  controlState,
  requestControl,
} from "./control/control.js";
export type * from "./events/events.js";
export type { RunSummary } from "./files/run-directory.js";
export { type TrainResult, TrainRun } from "./train-run.js";
