// Checkpoints of PyTorch, read without running their code, and written.
import "../tensor-methods.js";

export { PthError, UnsafePickleError } from "./error.js";
export { PthFile } from "./load.js";
export type { Picklable } from "./pickle.js";
export { PickledName, PickledObject, type PickledTensor } from "./pickled.js";
export { savePth } from "./save.js";
