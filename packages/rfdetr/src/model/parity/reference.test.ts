import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { noGrad, scope } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { fillImages, fillModel } from "../../instruments/peers/deterministic-fill.js";
import { agree, type Summary } from "../../testing/tensor-summary.js";
import type { Outputs } from "../outputs.js";
import { RFDETRModel } from "../rfdetr.js";
import type { ModelConfig } from "../types.js";
import { resolveModel } from "../variants.js";

type Case = Record<"predLogits" | "predBoxes" | "encLogits" | "encBoxes", Summary>;

/** Written from the Python package rfdetr 1.11.2 by `tools/reference/model_goldens.py`. */
const reference = JSON.parse(readFileSync(new URL("./fixtures/reference.json", import.meta.url), "utf8")) as {
  keys: Record<string, string>;
  cases: Record<string, Case>;
};

describe("state dict", () => {
  it.each(Object.keys(reference.keys))("of %s has the keys and shapes of the Python package", (variant) => {
    scope(() => {
      const state = new RFDETRModel(resolveModel(variant)).stateDict();
      const lines = [...state].map(([key, t]) => `${key} ${t.shape.join("x")}`).sort();
      expect(createHash("sha256").update(lines.join("\n")).digest("hex")).toBe(reference.keys[variant]);
      for (const t of state.values()) t.dispose();
    });
  });
});

/** Both interpolate the positional embeddings in float32; what follows are float64 sums in another order. */
const bound = 1e-8;

const cases: [string, keyof typeof reference.cases, ModelConfig, [number, number], boolean][] = [
  [
    "two pyramid levels, four points, 4 windows, a rectangle",
    "pyramid",
    resolveModel("large-deprecated", { encoder: resolveModel("nano").encoder }),
    [224, 280],
    false,
  ],
  ["one window: every layer is global", "oneWindow", resolveModel("nano", { numWindows: 1 }), [176, 176], false],
  [
    "training with fewer tokens than queries: proposals cross group borders",
    "fewTokens",
    resolveModel("nano"),
    [160, 128],
    true,
  ],
];

describe("unpublished configurations agree with the Python package in float64", () => {
  it.each(cases)("%s", (_, name, config, [height, width], training) => {
    const model = new RFDETRModel(config);
    fillModel(model);
    model.to("float64").train(training);
    noGrad(() =>
      scope(() => {
        const { predLogits, predBoxes, encOutputs } = model.call(fillImages(2, height, width).to("float64")) as Outputs;
        const own = { predLogits, predBoxes, encLogits: encOutputs.predLogits, encBoxes: encOutputs.predBoxes };
        for (const [output, golden] of Object.entries(reference.cases[name]))
          agree(own[output as keyof Case], golden, output, bound);
      }),
    );
    for (const p of model.parameters()) p.dispose();
  });
});
