import { readFileSync } from "node:fs";
import { keep, manualSeed, noGrad, scope, type Tensor, tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { RFDETRModel } from "../model/rfdetr.js";
import type { ModelConfig } from "../model/types.js";
import { resolveModel } from "../model/variants.js";
import { near } from "../testing/near.js";
import { describeFit, fitWeights } from "./fit-weights.js";
import { isAdapter, mergeAdapters, plainKey } from "./python/lora.js";

interface Resized {
  from: number[][][];
  to: number[][][];
}
const golden = JSON.parse(readFileSync(new URL("./fixtures/loading.json", import.meta.url), "utf8")) as {
  dora: { stored: Record<string, number[][]>; merged: number[][] };
  lora: { stored: Record<string, number[][]>; merged: number[][] };
  smaller: Resized;
  larger: Resized;
  queries: { stored: number[][]; cut: number[][] };
};
const table = "backbone.0.encoder.encoder.embeddings.position_embeddings";

/** Fits a single tensor. */
function fitOne(
  key: string,
  stored: number[] | number[][] | number[][][],
  shape: number[],
  sizes: Partial<ModelConfig>[] = [{}, {}],
): unknown {
  const config = resolveModel("tiny");
  const names = Array.from({ length: config.numClasses }, (_, i) => `class ${i}`);
  const [from, to] = sizes.map((size) => ({ ...config, ...size }));
  const target = tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), { shape });
  return scope(() => {
    const { tensors } = fitWeights(
      "x.pth",
      { tensors: new Map([[key, tensor(stored as number[])]]), config: from, classNames: names },
      { tensors: new Map([[key, target]]), config: to, classNames: names },
    );
    return (tensors.get(key) as Tensor).toList();
  });
}

describe("weights of one model in another", () => {
  it.each(["smaller", "larger"] as const)("position tables are resized as by the Python package: %s", (way) => {
    const { from, to } = golden[way];
    // Float32 sums of sixteen products.
    near(tensor(fitOne(table, from, [1, to[0].length, 3]) as number[][][]), to.flat(2), 2e-6);
  });

  it("learned queries are cut group by group", () => {
    const { stored, cut } = golden.queries;
    const sizes = [
      { numQueries: 4, groupDetr: 3 },
      { numQueries: 3, groupDetr: 2 },
    ];
    expect(fitOne("query_feat.weight", stored, [6, 2], sizes)).toEqual(cut);
  });

  it("another shape anywhere else is an error that names the tensor", () => {
    expect(() => fitOne("transformer.decoder.norm.weight", [1, 2, 3], [4])).toThrow(
      /x.pth of tiny do not fit tiny: transformer.decoder.norm.weight has the shape 3 instead of 4/,
    );
  });

  it("more queries than were trained are an error", () => {
    const sizes = [{ numQueries: 3 }, { numQueries: 4 }];
    expect(() => fitOne("query_feat.weight", [[1]], [4, 1], sizes)).toThrow(
      /groups of 3 queries and the model has \d+ of 4: lower num_queries/,
    );
  });

  it("a whole model takes fewer classes, queries and groups and another resolution, and says what it did", () => {
    manualSeed(0);
    const big = new RFDETRModel(resolveModel("tiny"));
    const { numQueries, groupDetr, resolution, patchSize, numWindows } = resolveModel("tiny");
    const config = resolveModel("tiny", {
      numClasses: 2,
      numQueries: numQueries - 1,
      groupDetr: groupDetr - 1,
      resolution: resolution + patchSize * numWindows,
    });
    const small = new RFDETRModel(config);
    const names = Array.from({ length: big.config.numClasses }, (_, i) => `kind ${i}`);
    const { report } = scope(() => {
      const fitted = fitWeights(
        "x",
        { tensors: big.stateDict(), config: big.config, classNames: names },
        { tensors: small.stateDict(), config, classNames: [names[5], names[2]] },
      );
      noGrad(() => small.loadStateDict(fitted.tensors));
      return { report: fitted.report };
    });
    expect(report.missing).toEqual([]);
    expect(report.loaded + report.changed.length).toBe(small.stateDict().size);
    const lines = describeFit(report);
    expect(lines).toEqual([expect.stringMatching(/^Reshaped: .*queries to/)]);
  });

  it("a detector starts a model with masks, and the other way round; the head is said to be new or left out", () => {
    manualSeed(0);
    const [boxes, masks] = ["tiny", "seg-tiny"].map((variant) => new RFDETRModel(resolveModel(variant)));
    const names = Array.from({ length: boxes.config.numClasses }, (_, i) => `kind ${i}`);
    const weights = (model: RFDETRModel) => ({
      tensors: model.stateDict(),
      config: model.config,
      classNames: names,
    });
    scope(() => {
      const started = fitWeights("x", weights(boxes), weights(masks));
      expect(started.report.loaded).toBe(boxes.stateDict().size);
      expect(new Set(started.report.missing.map((key) => key.split(".")[0]))).toEqual(new Set(["segmentation_head"]));
      expect(describeFit(started.report)).toEqual([
        "The segmentation head starts from random weights: the file is of a model without masks",
      ]);
      const back = fitWeights("x", weights(masks), weights(boxes));
      expect(back.report.missing).toEqual([]);
      expect(describeFit(back.report)).toEqual([
        "The segmentation head of the file is left out: the model has no masks",
      ]);
    });
  });

  it("weights of something else are refused, whatever keys they have", () => {
    const model = new RFDETRModel(resolveModel("tiny"));
    const some = new Map([...model.stateDict()].slice(0, 10));
    expect(() =>
      scope(() =>
        fitWeights(
          "x",
          { tensors: some, config: model.config, classNames: ["a"] },
          { tensors: model.stateDict(), config: model.config, classNames: ["a"] },
        ),
      ),
    ).toThrow(/hold 10 of the \d+ tensors of tiny: they are of another model/);
  });
});

describe("adapters", () => {
  it.each(["dora", "lora"] as const)("are merged as peft merges them: %s", (kind) => {
    const { stored, merged } = golden[kind];
    const tensors = new Map(
      Object.entries(stored).map(([key, values]) => [plainKey(key), keep(tensor(values as never))] as const),
    );
    expect(mergeAdapters(tensors)).toEqual(["query"]);
    expect([...tensors.keys()].sort()).toEqual(["query.bias", "query.weight"]);
    near(tensors.get("query.weight") as Tensor, merged.flat());
    for (const each of tensors.values()) each.dispose();
  });

  it("are told from weights by their keys", () => {
    const key = "backbone.0.encoder.base_model.model.encoder.encoder.layer.3.attention.attention.query";
    expect(plainKey(`${key}.base_layer.weight`)).toBe(
      "backbone.0.encoder.encoder.encoder.layer.3.attention.attention.query.weight",
    );
    expect(isAdapter(`${key}.lora_A.default.weight`)).toBe(true);
    expect(isAdapter(`${key}.base_layer.weight`)).toBe(false);
  });
});
