// `rfdetr/instruments`: benchmarks, profiles and comparisons. Training and prediction import none of them.
export {
  type AgainstOptions,
  type AgainstResult,
  benchAgainst,
  type Comparison,
  type ProgramTimes,
} from "./against.js";
export { agreement, type Disagreement } from "./agreement.js";
export { benchEval, type EvalBench, type EvalFiles, type EvalLoad, writeLoad } from "./bench-eval.js";
export { benchInfer, type InferBench } from "./bench-infer.js";
export { benchLoad, type LoadBench, type LoadBenchOptions } from "./bench-load.js";
export { benchOps, type OperatorBench } from "./bench-ops.js";
export { type BenchModel, benchParts, benchTrain, type TrainBench } from "./bench-train.js";
export { openSubject, type SubjectOptions } from "./calibration.js";
export { compareEvaluationModes, type EvaluatedMode, type EvaluationMode } from "./compare-evaluations.js";
export { fillImages, fillModel, fillTargets } from "./deterministic-fill.js";
export { countFlops } from "./flops.js";
export { type HardwarePeaks, measurePeaks, peakFlops } from "./hardware-peaks.js";
export { type PhotoFolder, writePhotographs } from "./photographs.js";
export { type ProfileOptions, profilePrediction, profileTraining, type StepProfile } from "./profile.js";
export { besideBusyProcess, type Peer, peers } from "./programs.js";
export { type PythonOptions, pythonWithPackage } from "./python-package.js";
