// Where an export goes that was not told where.
import { join } from "node:path";
import { expect, it } from "vitest";
import { weightsFolder } from "../weights/published/published-weights.js";
import { defaultOut } from "./default-out.js";

it.each([
  [{ precision: "fp32" }, "runs/nano/weights/best.onnx"],
  [{ precision: "fp16" }, "runs/nano/weights/best-fp16.onnx"],
  [{ precision: "int8", gridSample: false }, "runs/nano/weights/best-int8-gathers.onnx"],
] as const)("goes beside the weights for %j", (options, out) => {
  expect(defaultOut("runs/nano/weights/best.safetensors", options)).toBe(out);
});

it("goes to the current folder for published weights", () => {
  expect(defaultOut(join(weightsFolder(), "rf-detr-nano.pth"), { precision: "fp32" })).toBe("rf-detr-nano.onnx");
});
