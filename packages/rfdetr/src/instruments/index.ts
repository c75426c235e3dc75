// `rfdetr/instruments`: benchmarks, profiles and comparisons. Training and prediction import none of them.

export { benchEval, type EvalBench, type EvalFiles, type EvalLoad, writeLoad } from "./bench/bench-eval.js";
export { benchInfer, type InferBench, type InferBenchOptions } from "./bench/bench-infer.js";
export { benchLoad, type LoadBench, type LoadBenchOptions } from "./bench/bench-load.js";
export { benchOps, type OperatorBench } from "./bench/bench-ops.js";
export {
  type BenchModel,
  benchParts,
  benchTrain,
  type TrainBench,
  type TrainBenchOptions,
} from "./bench/bench-train.js";
export { countFlops } from "./bench/flops.js";
export { type HardwarePeaks, measurePeaks, peakFlops } from "./bench/hardware-peaks.js";
export { type PhotoFolder, writePhotographs } from "./bench/photographs.js";
export {
  type AgainstOptions,
  type AgainstResult,
  benchAgainst,
  type Comparison,
  type ProgramTimes,
} from "./peers/against.js";
export { fillImages, fillModel, fillTargets } from "./peers/deterministic-fill.js";
export { besideBusyProcess, type Peer, peers } from "./peers/programs.js";
export { type PythonOptions, pythonWithPackage } from "./peers/python-package.js";
export { agreement, type Disagreement } from "./precision/agreement.js";
export { openSubject, type SubjectOptions } from "./precision/calibration.js";
export { compareEvaluationModes, type EvaluatedMode, type EvaluationMode } from "./precision/compare-evaluations.js";
export { type ProfileOptions, profilePrediction, profileTraining, type StepProfile } from "./profile.js";
