export { CheckpointError, UnsafePickleError } from "./error.js";
export { PthFile } from "./load.js";
export { PickledName, PickledObject, type PickledTensor, unpickle } from "./unpickle.js";
