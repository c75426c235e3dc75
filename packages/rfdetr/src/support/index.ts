// `rfdetr/support`: what a program that measures needs around a model. Loads no libtorch.
export { busyness, machineLine, peakRss } from "./machine.js";
export { letThreadsSleep } from "./openmp.js";
export { measure, median, type Spread, spread } from "./statistics.js";
export { escapeXml } from "./xml.js";
