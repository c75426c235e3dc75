// Modules: layers with parameters, and the tree they form.
import "../tensor-methods.js";

export { currentModule, currentPath, type RunningModule } from "../module-stack.js";
export * as init from "./init.js";
export * from "./layers.js";
export { type Activation, activationOperators, layerOfWeight, mlp } from "./mlp.js";
export { type LoadReport, Module, Parameter, parameter, StateDictError } from "./module.js";
