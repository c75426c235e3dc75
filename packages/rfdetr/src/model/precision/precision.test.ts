import { manualSeed, scope } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import type { Target } from "../../data/target.js";
import { fillImages } from "../../instruments/peers/deterministic-fill.js";
import { Criterion } from "../../loss/criterion.js";
import { RFDETRModel } from "../rfdetr.js";
import { resolveModel } from "../variants.js";
import { modelAutocast } from "./precision.js";

const config = resolveModel("tiny");
manualSeed(0);
const model = new RFDETRModel(config);
model.train();
model.name("");
const criterion = new Criterion({ groupDetr: config.groupDetr });
const images = fillImages(1, config.resolution, config.resolution);
const targets: Target[] = [{ imageId: 0, labels: Int32Array.of(1), boxes: Float32Array.of(0.3, 0.4, 0.2, 0.2) }];

/** Patterns for all modules that have parameters and no submodules. Layers of the same kind share a pattern. */
const leaves = [
  ...new Set(
    [...model.namedModules()]
      .filter(([, module]) => [...module.namedChildren()].length === 0 && [...module.namedParameters()].length > 0)
      .map(([, module]) => module.path.replace(/\.\d+(?=\.|$)/g, ".*")),
  ),
];

describe("a training step is finite with an override for a single module", () => {
  it.each(leaves)("%s", (pattern) => {
    for (const [precision, rule] of [
      ["bf16-mixed", "fp32"],
      ["16-mixed", "bf16"],
    ] as const) {
      const autocast = modelAutocast(model, { precision, overrides: { [pattern]: rule } });
      for (const parameter of model.parameters()) parameter.grad = null;
      const loss = scope(() => {
        const { total } = criterion.compute(
          autocast.run(() => model.call(images)),
          targets,
          { training: true },
        );
        total.backward();
        return total.item();
      });
      autocast.clearCache();
      expect(Number.isFinite(loss), precision).toBe(true);
      for (const [name, { grad }] of model.namedParameters())
        expect(
          grad === null || Number.isFinite(scope(() => grad.abs().sum().item())),
          `${precision}: gradient of ${name}`,
        ).toBe(true);
    }
  });
});

it("names only modules that the model has", () => {
  const patternsOf = (variant: string): string[] =>
    Object.keys(modelAutocast(new RFDETRModel(resolveModel(variant)), { precision: "bf16-mixed" }).overrides);
  const boxes = ["transformer.query_selection", "backbone.*.projector.stages.*.1"];
  expect(patternsOf("tiny")).toEqual(boxes);
  expect(patternsOf("seg-tiny")).toEqual([...boxes, "segmentation_head.blocks.*.dwconv"]);
});
