// Several processes that compute together: `distributed.ProcessGroup`, `distributed.Reducer`.
export { DistributedError } from "./error.js";
export { exitNow, type JoinOptions, ProcessGroup, type Reduction } from "./group.js";
export { Reducer, type ReducerOptions, type ReductionTimes } from "./reducer.js";
export { Store } from "./store.js";
