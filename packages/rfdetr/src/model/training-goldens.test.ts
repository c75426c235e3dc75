import { scope, type Tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { fillImages, fillModel, fillTargets } from "../instruments/deterministic-fill.js";
import { Criterion } from "../loss/criterion.js";
import type { Outputs } from "./outputs.js";
import { RFDETRModel } from "./rfdetr.js";
import { resolveModel } from "./variants.js";

// Losses and gradient norms of the Python package rfdetr 1.11.2 in float64. Weights, images and targets were rounded to
// float32 first. Two operations are float32 there and here: the interpolation of the positional embeddings, and the
// rounding of the matching costs. Float64 sums of some 10⁸ terms in different orders agree to a relative 1e-8.
const goldens = {
  nano: {
    terms: {
      loss_ce: 0.744862173,
      loss_bbox: 0.49352339,
      loss_giou: 0.971802311,
      loss_ce_0: 0.778620016,
      loss_bbox_0: 0.488050731,
      loss_giou_0: 0.975850069,
      loss_ce_enc: 1.042951421,
      loss_bbox_enc: 0.487477653,
      loss_giou_enc: 0.959434616,
      class_error: 95.3846,
      cardinality_error: 2.5,
      cardinality_error_0: 2.5,
      cardinality_error_enc: 3,
    },
    total: 15.725866473,
    norm: 38.07363001,
    norms: [0.861047263, 0.01180309, 1.506262633, 0.27328199, 0.097758297],
  },
  base: {
    terms: {
      loss_ce: 0.650764533,
      loss_bbox: 0.4656836,
      loss_giou: 0.95808116,
      loss_ce_0: 0.974814129,
      loss_bbox_0: 0.49253935,
      loss_giou_0: 0.969203594,
      loss_ce_1: 0.799709185,
      loss_bbox_1: 0.489164212,
      loss_giou_1: 0.965941484,
      loss_ce_enc: 2.058519353,
      loss_bbox_enc: 0.48463308,
      loss_giou_enc: 0.962519927,
      class_error: 100,
      cardinality_error: 2.5,
      cardinality_error_0: 0,
      cardinality_error_1: 2.5,
      cardinality_error_enc: 9,
    },
    total: 21.855400738,
    norm: 75.115380175,
    norms: [1.236481363, 0.029132892, 3.455620447, 0.651911632, 0.136255783],
  },
};

const watched = [
  "class_embed.bias",
  "backbone.0.encoder.encoder.embeddings.cls_token",
  "backbone.0.encoder.encoder.encoder.layer.0.mlp.fc1.weight",
  "transformer.decoder.layers.0.cross_attn.sampling_offsets.weight",
  "query_feat.weight",
];

describe.each(["nano", "base"] as const)("a training step of %s in float64", (variant) => {
  it("has the losses and gradient norms of the Python package", () => {
    const golden = goldens[variant];
    const config = resolveModel(variant);
    const model = new RFDETRModel(config);
    fillModel(model);
    model.to("float64").train();
    scope(() => {
      const outputs = model.call(fillImages(2, config.resolution, config.resolution).to("float64")) as Outputs;
      const { total, terms } = new Criterion({ groupDetr: config.groupDetr }).compute(outputs, fillTargets(2), {
        training: true,
      });
      total.backward();
      // The goldens have nine decimals (class_error has four).
      for (const [name, value] of Object.entries(golden.terms)) {
        const own = (terms.get(name) as Tensor).item();
        expect(Math.abs(own - value), `${name}: ${own} against ${value}`).toBeLessThan(
          name === "class_error" ? 1e-4 : 1e-8 * Math.abs(value) + 1e-9,
        );
      }
      const near = (own: number, value: number, name: string): void =>
        expect(Math.abs(own - value), `${name}: ${own} against ${value}`).toBeLessThan(1e-8 * Math.abs(value) + 1e-9);
      near(total.item(), golden.total, "total");
      const norms = new Map([...model.namedParameters()].map(([key, p]) => [key, p.grad?.norm().item() ?? 0]));
      near(Math.hypot(...norms.values()), golden.norm, "gradient norm");
      watched.forEach((key, i) => near(norms.get(key) as number, golden.norms[i], key));
    });
    for (const p of model.parameters()) p.dispose();
  });
});
