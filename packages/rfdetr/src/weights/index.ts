// `rfdetr/weights`: files of weights, ours and the Python package's.
export type { ClassNumbering } from "./class-numbering.js";
export type { ClassRow } from "./class-rows.js";
export { describeFit, type FitReport, fitWeights, type Weights } from "./fit-weights.js";
export { type DownloadOptions, publishedWeights, resolveWeights } from "./published-weights.js";
export { savePythonCheckpoint } from "./python-export.js";
export type { LoadedWeights, ReadOptions, WeightsInfo } from "./types.js";
export { checkComplete, loadInto, loadModel, readModelConfig, readWeights, saveWeights } from "./weights.js";
