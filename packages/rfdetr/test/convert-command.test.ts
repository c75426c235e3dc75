// `rfdetr convert` between our weights and checkpoints for the Python package.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { scope } from "@rfdetr/torch";
import { expect, it } from "vitest";
import { RFDETRModel } from "../src/model/rfdetr.js";
import { resolveModel } from "../src/model/variants.js";
import {
  type LoadedWeights,
  readTrainedPrecision,
  readWeights,
  saveWeights,
  type WeightsInfo,
} from "../src/weights/index.js";
import { readRecordedThresholds } from "../src/weights/weights.js";
import { folder, rfdetr, script } from "./command-script.js";

const info: WeightsInfo = {
  classNames: ["cat", "dog"],
  config: resolveModel("tiny", { numClasses: 2 }),
  trained: {
    precision: "bf16-mixed",
    policy: "default",
    operators: { "aten::gelu": "fp32" },
    overrides: { "backbone.*": "fp32" },
    numberFormat: null,
  },
  extra: {
    epoch: "3",
    step: "12",
    averaged: "true",
    AP: "0.25",
    notes: '"Käfer"',
    thresholds: JSON.stringify({ "*": 0.3, dog: 0.4 }),
    rfdetr_version: "0.1.0",
  },
};

function allBut<T extends LoadedWeights>({ tensors, ...rest }: T): Omit<T, "tensors"> {
  for (const tensor of tensors.values()) tensor.dispose();
  return rest;
}

it("rfdetr convert keeps what the metadata say of the training, there and back", () => {
  const [ours, python, back] = ["ours.safetensors", "python.pth", "back.safetensors"].map((name) => join(folder, name));
  saveWeights(ours as string, scope(() => new RFDETRModel(info.config)).stateDict(), info);
  const { stderr, status } = rfdetr("convert", "ours.safetensors", "python.pth");
  expect(stderr).toContain("The Python package has no variant tiny, so it cannot load this file; rfdetr can");
  expect(status).toBe(0);
  expect(rfdetr("convert", "python.pth", "back.safetensors")).toMatchObject({ status: 0, stderr: "" });
  const before = allBut(readWeights(ours as string));
  expect(before).toMatchObject(info);
  for (const path of [python, back] as string[]) {
    expect(allBut(readWeights(path)), path).toEqual(before);
    expect(readTrainedPrecision(path), path).toEqual(info.trained);
    expect(readRecordedThresholds(path), path).toEqual({ "*": 0.3, dog: 0.4 });
  }
});

it("of two rfdetr convert to one name at the same time, one writes it and the other says so", async () => {
  saveWeights(join(folder, "twice.safetensors"), scope(() => new RFDETRModel(info.config)).stateDict(), info);
  const ended = await Promise.all(
    ["one.pth", "one.pth"].map(async (to) => {
      const child = spawn(process.execPath, [script, "convert", "twice.safetensors", to], { cwd: folder });
      let said = "";
      child.stderr.on("data", (data) => (said += String(data)));
      const [code] = await once(child, "close");
      return { code, said };
    }),
  );
  const [first, second] = ended.sort((a, b) => a.code - b.code);
  expect([first.code, second.code === 0]).toEqual([0, false]);
  expect(second.said).toMatch(/Expected a new file to write but one\.pth (?:has appeared meanwhile|exists)/);
  expect(allBut(readWeights(join(folder, "one.pth")))).toMatchObject(info);
});
