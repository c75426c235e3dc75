// libtorch for TypeScript.
export { checkpoint, enableGrad, gradients, graphNode, isGradEnabled, noGrad } from "./autograd.js";
export {
  arange,
  empty,
  full,
  linspace,
  ones,
  rand,
  randint,
  randn,
  randperm,
  type TensorOptions,
  tensor,
  withDevice,
  zeros,
} from "./create.js";
export { type Decomposition, decompose, decompositionOf } from "./decompose.js";
export {
  type ArgumentInfo,
  type Call,
  dispatch,
  type Interceptor,
  intercept,
  type Next,
  Operator,
  operator,
} from "./dispatch.js";
export * as distributed from "./distributed/index.js";
export { type DType, dtypes, isDType, type TensorData } from "./dtype.js";
export {
  type DeviceMemory,
  deviceMemory,
  type Engine,
  engine,
  getNumThreads,
  getRngState,
  isTf32,
  type MemoryUse,
  manualSeed,
  memory,
  releaseCachedMemory,
  resetPeakMemory,
  setNumThreads,
  setRngState,
  setTf32,
} from "./engine.js";
export { DisposedError, EngineError, OperatorError, TorchError } from "./errors.js";
export * as nn from "./nn/index.js";
export * as ops from "./ops.generated.js";
export * as optim from "./optim/index.js";
export {
  byModule,
  byOperator,
  type ChromeTrace,
  chromeTrace,
  type ModuleTime,
  type OperatorTime,
  type Profile,
  ProfileError,
  type ProfileEvent,
  profile,
  selfTimes,
  span,
  type TensorShape,
  type TraceEvent,
} from "./profile/index.js";
export {
  type Picklable,
  PickledName,
  PickledObject,
  type PickledTensor,
  PthError,
  PthFile,
  savePth,
  UnsafePickleError,
} from "./pth/index.js";
export {
  loadSafetensors,
  readSafetensorsHeader,
  type SafetensorsEntry,
  SafetensorsError,
  type SafetensorsFile,
  type SafetensorsHeader,
  saveSafetensors,
} from "./safetensors.js";
export { keep, scope } from "./scope.js";
export { Tensor } from "./tensor.js";
export type { NestedNumbers, Operand } from "./tensor-methods.js";

import "./tensor-methods.js";
