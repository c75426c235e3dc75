import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualSeed, memory, noGrad, saveSafetensors, scope, type Tensor, tensor } from "@rfdetr/torch";
import { afterAll, describe, expect, it } from "vitest";
import { RFDETRModel } from "../model/rfdetr.js";
import { resolveModel } from "../model/variants.js";
import { loadModel, readWeights, saveWeights } from "./weights.js";

const folder = mkdtempSync(join(tmpdir(), "read-safetensors-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "x.safetensors");
manualSeed(0);
const config = resolveModel("tiny", { numClasses: 2 });
const model = new RFDETRModel(config);

/** Writes the weights with other metadata or other tensors. */
function write(metadata: Record<string, string>, change: (tensors: Map<string, Tensor>) => void = () => {}): void {
  const tensors = new Map(model.stateDict());
  change(tensors);
  const own = { variant: "tiny", class_names: '["a","b"]', model_config: JSON.stringify(config) };
  saveSafetensors(path, tensors, { ...own, ...metadata });
}
const refusal = (): string => {
  try {
    loadModel(path);
    return "accepted";
  } catch (error) {
    expect((error as Error).name).toBe("CheckpointError");
    return (error as Error).message.replaceAll(path, "FILE");
  }
};

it("tells of tensors that the model does not use", () => {
  write({}, (tensors) => tensors.set("other.weight", tensor([1])));
  const said: string[] = [];
  scope(() => readWeights(path, { warn: (sentence) => said.push(sentence) }));
  expect(said).toEqual([`${path} has tensors that the model does not use: other.weight`]);
});

describe("metadata of a weights file", () => {
  it.each([
    ["a class list that is no JSON", { class_names: "x" }, /Expected JSON for class_names in the metadata of FILE/],
    ["a class list that is null", { class_names: "null" }, /Expected a list of names for class_names/],
    ["class names that are numbers", { class_names: "[1,2]" }, /Expected a list of names for class_names/],
    ["a class list of another length", { class_names: '["a"]' }, /Expected 2 class names .* but received 1/],
    ["sizes that are no JSON", { model_config: "{" }, /Expected JSON for model_config/],
    ["sizes that are null", { model_config: "null" }, /Expected a table of sizes/],
    ["a size that is text", { model_config: '{"numClasses":"2"}' }, /Expected positive integer for numClasses/],
    ["an unknown size", { model_config: '{"wheels":4}' }, /describe no model that can be: .*wheels/],
    ["an unknown variant", { variant: "tinny" }, /did you mean tiny/],
    ["a variant of JavaScript", { variant: "constructor" }, /Expected one of nano.* received constructor/],
    ["overrides that are no JSON", { precision_overrides: "{" }, /Expected JSON for precision_overrides/],
    ["overrides that are a list", { precision_overrides: "[]" }, /Expected a table of rules for precision_overrides/],
    ["a rule that is none", { precision_overrides: '{"class_embed":3}' }, /Expected one of lower, .* but received 3/],
    ["an override for no module", { precision_overrides: '{"clas_embed":"fp32"}' }, /near it are class_embed/],
    ["an unknown policy", { precision_policy: "__proto__" }, /Expected one of default, pytorch-cuda for policy/],
    ["an unknown operator", { precision_operators: '{"gelo":"fp32"}' }, /Expected an operator of libtorch/],
    ["an operator's rule that is none", { precision_operators: '{"gelu":null}' }, /Expected one of lower, .* null/],
    [
      "a threshold that is text",
      { thresholds: '{"*":"best"}' },
      /Expected numbers from 0 to 1 by class for thresholds/,
    ],
    ["thresholds without one for all", { thresholds: '{"a":0.5}' }, /Expected numbers from 0 to 1 by class for thr/],
    ["a variant that is a prototype", { variant: "__proto__" }, /Expected one of nano.* received __proto__/],
  ])("is refused in one sentence: %s", (_, metadata, message) => {
    write(metadata as Record<string, string>);
    expect(refusal()).toMatch(message);
  });

  it.each([
    ["groupDetr", 1e9],
    ["numClasses", 1e7],
    ["decLayers", 1e9],
    ["hiddenDim", 1e6],
    ["numQueries", 1e9],
    ["resolution", 16_000_000],
    ["positionalEncodingSize", 1e6],
    ["encoder", { ...config.encoder, layers: 1e9 }],
  ])("cannot ask for a model that takes all memory: %s", (key, value) => {
    const sizes = JSON.stringify({ ...config, [key]: value });
    saveSafetensors(path, {}, { variant: "tiny", class_names: '["a","b"]', model_config: sizes });
    const before = memory().liveBytes;
    expect(refusal()).toMatch(/describe no model that can be|Expected an input side|Expected 10000000 class names/);
    expect(memory().liveBytes).toBe(before);
  });

  it("that a later version may have written is named, and left out", () => {
    write({ number_format: "fp2", precision: "bf16-mixed" });
    const warnings: string[] = [];
    const { trained } = loadModel(path, { warn: (message) => warnings.push(message) });
    expect(trained).toMatchObject({ precision: "bf16-mixed", numberFormat: null });
    expect(warnings).toEqual([
      `The metadata of ${path} have "fp2" for number_format, which this version does not know: the weights are used as if it were not there`,
    ]);
  });

  it("is compared with the shapes of the tensors before either takes memory", () => {
    write({ model_config: JSON.stringify({ ...config, groupDetr: 4 }) });
    expect(refusal()).toMatch(/FILE do not fit tiny as the file describes it: .* has the shape .* instead of/);
    write({ model_config: JSON.stringify({ ...config, hiddenDim: 4096 }) });
    expect(refusal()).toMatch(/has the shape .* instead of/);
    // No tensor contradicts these sizes, since there is none.
    const largest = JSON.stringify({ ...config, decLayers: 64, dimFeedforward: 65_536, hiddenDim: 4096 });
    saveSafetensors(path, {}, { variant: "tiny", class_names: '["a","b"]', model_config: largest });
    const before = memory().liveBytes;
    expect(refusal()).toMatch(/Expected all tensors of tiny in FILE but \d+ are missing/);
    expect(memory().liveBytes).toBe(before);
  });
});

describe("tensors of a weights file", () => {
  it("that are no fractions are refused", () => {
    write({}, (tensors) => tensors.set("class_embed.bias", tensor([1, 2, 3], { dtype: "int32" })));
    expect(refusal()).toMatch(/Expected floating-point numbers for class_embed.bias in FILE but received int32/);
  });

  it("that hold NaN or infinity are named before anything is computed, and freed", () => {
    const broken = (value: number) => (tensors: Map<string, Tensor>) => {
      for (const key of ["class_embed.bias", "transformer.decoder.norm.weight"])
        tensors.set(
          key,
          noGrad(() => (tensors.get(key) as Tensor).mul(value)),
        );
    };
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      write({}, broken(value));
      const before = memory().liveBytes;
      expect(() => readWeights(path)).toThrow(
        /Expected finite weights in .* but 2 of its \d+ tensors hold NaN or infinity: .*class_embed.bias/,
      );
      expect(memory().liveBytes).toBe(before);
    }
    // Large numbers are numbers, also where their sum overflows.
    write({}, (tensors) => tensors.set("class_embed.bias", tensor([3e38, 3e38, 3e38])));
    expect(refusal()).toBe("accepted");
  });

  it("that the model does not have are not read", () => {
    write({}, (tensors) => tensors.set("extra", tensor([1, 2, 3], { dtype: "int32" })));
    const { tensors, leftOver } = readWeights(path);
    expect([tensors.has("extra"), leftOver]).toEqual([false, ["extra"]]);
    for (const each of tensors.values()) each.dispose();
  });

  it("that are missing are named, and no model is made", () => {
    write({}, (tensors) => tensors.delete("class_embed.bias"));
    expect(refusal()).toBe("Expected all tensors of tiny in FILE but 1 are missing: class_embed.bias");
  });
});

describe("a file that is no weights file", () => {
  it.each([
    ["safetensors", "<!DOCTYPE html><html><body>Sign in</body></html>", /is a web page/],
    ["pth", "<!DOCTYPE html><html><body>Sign in</body></html>", /is a web page/],
    ["safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:00\n", /is a pointer of Git LFS/],
    ["pth", "version https://git-lfs.github.com/spec/v1\noid sha256:00\n", /is a pointer of Git LFS/],
  ])("is named: .%s", (extension, content, message) => {
    const file = join(folder, `stub.${extension}`);
    writeFileSync(file, content);
    expect(() => readWeights(file)).toThrow(message);
  });
});

describe("names of classes", () => {
  it("are kept, and 91 of COCO reach the last row", () => {
    const names = Array.from({ length: 3 }, (_, i) => `kind ${i}`);
    saveWeights(path, model.stateDict(), { classNames: names, config });
    expect(loadModel(path).classNames).toEqual(names);
  });
});
