// `rfdetr/support`: what a program that measures needs around a model. Loads no libtorch.

export { escapeXml } from "./files/xml.js";
export { type Busyness, busyness, machineLine, peakRss } from "./machine/machine.js";
export { letThreadsSleep } from "./machine/openmp.js";
export { measure, median, type Spread, spread } from "./statistics.js";
