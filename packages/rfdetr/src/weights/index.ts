// `rfdetr/weights`: files of weights, ours and the Python package's.
export { describeFit, type FitReport, fitWeights } from "./fit-weights.js";
export { type DownloadOptions, publishedWeights, resolveWeights } from "./published-weights.js";
export { type PythonCheckpoint, readPythonCheckpoint } from "./python-checkpoint.js";
export { savePythonCheckpoint } from "./python-export.js";
export { type LoadedWeights, loadInto, loadModel, readWeights, saveWeights, type WeightsInfo } from "./weights.js";
