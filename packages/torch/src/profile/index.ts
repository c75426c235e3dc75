// A profile of every operator, forward and backward, by module.
export { type ChromeTrace, chromeTrace, type TraceEvent } from "./chrome-trace.js";
export type { Profile, ProfileEvent, TensorShape } from "./event.js";
export { ProfileError, profile, span } from "./record.js";
export { byModule, byOperator, type ModuleTime, type OperatorTime, selfTimes } from "./summary.js";
