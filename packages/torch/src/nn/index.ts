export { currentModule, currentPath } from "./current.js";
export * as init from "./init.js";
export * from "./layers.js";
export { type LoadReport, Module, Parameter, parameter, StateDictError } from "./module.js";
