// `rfdetr/weights`: files of weights, ours and the Python package's.
export type { ClassNumbering } from "./classes/class-numbering.js";
export type { ClassRow } from "./classes/class-rows.js";
export { describeFit, type FitReport, fitWeights, type Weights } from "./fit-weights.js";
export { type DownloadOptions, publishedWeights, resolveWeights } from "./published/published-weights.js";
export { savePythonCheckpoint } from "./python/python-export.js";
export { resolveTrained, type TrainedPrecision, trainedAutocast } from "./trained-precision.js";
export type { LoadedWeights, ReadOptions, WeightsInfo } from "./types.js";
export {
  checkComplete,
  loadInto,
  loadModel,
  readModelConfig,
  readTrainedPrecision,
  readWeights,
  saveWeights,
} from "./weights.js";
