// `rfdetr/dash`: the live page of a folder of runs. Loads no libtorch.
export { type Dash, type DashOptions, startDash } from "./server.js";
