// The fill of the golden numbers, where tests look for it.
export * from "../instruments/deterministic-fill.js";
