import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { noGrad, ops, scope, type Tensor, zeros } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { fillImages, fillModel } from "../../instruments/peers/deterministic-fill.js";
import { maskArea } from "../../masks/mask.js";
import { agree, type Summary } from "../../testing/tensor-summary.js";
import { postprocess } from "../images/postprocess.js";
import type { MaskFeatures, Outputs, Prediction } from "../outputs.js";
import { RFDETRModel } from "../rfdetr.js";
import { resolveModel } from "../variants.js";

interface Evaluation {
  size: [number, number];
  predLogits: Summary;
  predBoxes: Summary;
  masks: Record<string, Summary>;
  /** Pixels of the 20 best detections, for images of 240 × 320 and 97 × 61 pixels. */
  areas: number[][];
}
interface Training {
  size: [number, number];
  masks: Record<string, Record<"spatialFeatures" | "queryFeatures", Summary>>;
  total: number;
  norm: number;
  norms: Record<string, number>;
}

/** Written from the Python package rfdetr 1.11.2 by `tools/reference/segmentation_goldens.py`. */
const golden = JSON.parse(readFileSync(new URL("./fixtures/segmentation.json", import.meta.url), "utf8")) as {
  keys: Record<string, string>;
  square: Evaluation;
  rectangle: Evaluation;
  training: Training;
};

/** Both interpolate the positional embeddings in float32; what follows are float64 sums in another order. */
const bound = 1e-8;

function filled(training: boolean): RFDETRModel {
  const model = new RFDETRModel(resolveModel("seg-nano"));
  fillModel(model);
  scope(() => void model.to("float64").train(training));
  return model;
}

const named = (outputs: Outputs): [string, Prediction][] => [
  ["last", outputs],
  ...outputs.auxOutputs.map((aux, i): [string, Prediction] => [`aux${i}`, aux]),
  ["enc", outputs.encOutputs],
];

/** The logits of every `step`-th query. */
function dense({ spatialFeatures, queryFeatures, bias }: MaskFeatures, step = 1): Tensor {
  const queries = ops.slice(queryFeatures, { dim: 1, step });
  return ops.einsum("bchw,bnc->bnhw", [spatialFeatures, queries]).add(bias);
}

describe("state dict", () => {
  it.each(Object.keys(golden.keys))("of %s has the keys and shapes of the Python package", (variant) => {
    scope(() => {
      const state = new RFDETRModel(resolveModel(variant)).stateDict();
      const lines = [...state].map(([key, t]) => `${key} ${t.shape.join("x")}`).sort();
      expect(createHash("sha256").update(lines.join("\n")).digest("hex")).toBe(golden.keys[variant]);
      for (const t of state.values()) t.dispose();
    });
  });
});

describe("seg-nano in float64", () => {
  it.each(["square", "rectangle"] as const)(
    "has the boxes and masks of all layers of the Python package: %s",
    (name) => {
      const { size, predLogits, predBoxes, masks, areas } = golden[name];
      const model = filled(false);
      noGrad(() =>
        scope(() => {
          const outputs = model.call(fillImages(2, ...size).to("float64"), true);
          agree(outputs.predLogits, predLogits, "predLogits", bound);
          agree(outputs.predBoxes, predBoxes, "predBoxes", bound);
          expect(
            named(outputs)
              .map(([layer]) => layer)
              .sort(),
          ).toEqual(Object.keys(masks).sort());
          for (const [layer, { predMasks }] of named(outputs))
            agree(dense(predMasks as MaskFeatures), masks[layer], layer, bound);
          const scored = postprocess(
            outputs,
            [
              [240, 320],
              [97, 61],
            ],
            20,
          );
          expect(scored.map((image) => image.masks?.map(maskArea))).toEqual(areas);
        }),
      );
      model.dispose();
    },
  );

  it("has the mask features of 13 groups, and the gradients of them all", () => {
    const { size, masks, total, norm, norms } = golden.training;
    const model = filled(true);
    scope(() => {
      const outputs = model.call(fillImages(2, ...size).to("float64"));
      let own = zeros([], { dtype: "float64" });
      for (const [layer, { predLogits, predBoxes, predMasks }] of named(outputs)) {
        const { spatialFeatures, queryFeatures } = predMasks as MaskFeatures;
        agree(spatialFeatures, masks[layer].spatialFeatures, `${layer} spatialFeatures`, bound);
        agree(queryFeatures, masks[layer].queryFeatures, `${layer} queryFeatures`, bound);
        own = own.add(predLogits.mul(predLogits).mean()).add(predBoxes.mul(predBoxes).mean());
        const logits = dense(predMasks as MaskFeatures, 13);
        own = own.add(logits.mul(logits).mean().div(100));
      }
      own.backward();
      const near = (value: number, expected: number, name: string): void =>
        expect(Math.abs(value - expected), `${name}: ${value} against ${expected}`).toBeLessThan(
          bound * Math.abs(expected) + 1e-9,
        );
      near(own.item(), total, "total");
      const found = new Map([...model.namedParameters()].map(([key, p]) => [key, p.grad?.norm().item() ?? 0]));
      near(Math.hypot(...found.values()), norm, "gradient norm");
      for (const [key, expected] of Object.entries(norms)) near(found.get(key) as number, expected, key);
    });
    model.dispose();
  });
});
