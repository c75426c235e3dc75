import { expect, it } from "vitest";
import { requestedPrecision } from "./precision.js";
import { resolveSettings } from "./resolve.js";

it.each([
  [{}, "auto"],
  [{ amp: false }, "32-true"],
  [{ amp: "calibrate" }, "measured"],
  [{ amp_dtype: "bf16" }, "bf16-mixed"],
  [{ amp_dtype: "fp16" }, "16-mixed"],
  [{ amp_dtype: null, amp: false }, "32-true"],
  [{ precision: "16-mixed", amp_dtype: "fp16" }, "16-mixed"],
])("%j asks for %s", (options, asked) => {
  expect(requestedPrecision(resolveSettings({ datasetDir: "-", ...options }))).toBe(asked);
});
