export { type ChromeTrace, chromeTrace, type TraceEvent } from "./chrome-trace.js";
export { type Profile, ProfileError, type ProfileEvent, profile, span, type TensorShape } from "./record.js";
export { byModule, byOperator, type ModuleTime, type OperatorTime, selfTimes } from "./summary.js";
