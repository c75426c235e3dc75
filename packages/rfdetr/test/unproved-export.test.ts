// `rfdetr export` where onnxruntime-node, which the proof needs, is not installed.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { manualSeed, scope } from "@rfdetr/torch";
import { afterAll, beforeAll, expect, it } from "vitest";
import { RFDETRModel } from "../src/model/rfdetr.js";
import { resolveModel } from "../src/model/variants.js";
import { saveWeights } from "../src/weights/weights.js";
import { folder, rfdetr } from "./command-script.js";

const url = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;
const hidden = url(`export async function resolve(name, context, next) {
  if (name !== "onnxruntime-node") return next(name, context);
  throw Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
}`);
const register = url(`import { register } from "node:module"; register(${JSON.stringify(hidden)});`);

beforeAll(() => {
  const config = resolveModel("tiny", { numClasses: 2 });
  manualSeed(1);
  const tensors = scope(() => new RFDETRModel(config)).stateDict();
  saveWeights(join(folder, "tiny.safetensors"), tensors, { classNames: ["cat", "dog"], config });
  process.env.NODE_OPTIONS = `--import=${register}`;
});
afterAll(() => {
  delete process.env.NODE_OPTIONS;
});

const install = "run ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node";

it.each([
  [["--out", "plain.onnx"], `the file is not proved: ${install}`],
  [["--out", "report.onnx", "--report"], `the file is not proved, and there is no report: ${install}`],
])("writes the file and says what is missing: %j", (flags, message) => {
  const { status, stderr } = rfdetr("export", "--weights", "tiny.safetensors", ...flags);
  expect(stderr).toContain(`warning: ${message}, delete the file and export again\n`);
  expect([status, existsSync(join(folder, flags[1]))]).toEqual([0, true]);
});

it("refuses int8, which needs it", () => {
  const { status, stderr } = rfdetr("export", "--weights", "tiny.safetensors", "--precision", "int8");
  expect(stderr).toContain(install);
  expect(status).toBe(2);
});
