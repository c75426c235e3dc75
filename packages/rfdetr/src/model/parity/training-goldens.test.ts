import { readFileSync } from "node:fs";
import { scope, type Tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { fillImages, fillModel, fillTargets } from "../../instruments/peers/deterministic-fill.js";
import { Criterion } from "../../loss/criterion.js";
import type { Outputs } from "../outputs.js";
import { RFDETRModel } from "../rfdetr.js";
import { resolveModel } from "../variants.js";

/**
 * Losses and gradient norms of the Python package rfdetr 1.11.2 in float64, written by
 * `tools/reference/model_goldens.py`. Weights, images and targets were rounded to float32 first. Two operations are
 * float32 there and here: the interpolation of the positional embeddings, and the rounding of the matching costs.
 * Float64 sums of some 10⁸ terms in different orders agree to a relative 1e-8.
 */
interface Golden {
  side: number;
  terms: Record<string, number>;
  total: number;
  norm: number;
  norms: Record<string, number>;
}
const { training: goldens } = JSON.parse(
  readFileSync(new URL("./fixtures/reference.json", import.meta.url), "utf8"),
) as { training: Record<"nano" | "base", Golden> };

describe.each(["nano", "base"] as const)("a training step of %s in float64", (variant) => {
  it("has the losses and gradient norms of the Python package", () => {
    const golden = goldens[variant];
    const config = resolveModel(variant);
    const model = new RFDETRModel(config);
    fillModel(model);
    model.to("float64").train();
    scope(() => {
      const outputs = model.call(fillImages(2, golden.side, golden.side).to("float64")) as Outputs;
      const { total, terms } = new Criterion({ groupDetr: config.groupDetr }).compute(outputs, fillTargets(2), {
        training: true,
      });
      total.backward();
      // The Python package computes class_error in float32.
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
      for (const [key, norm] of Object.entries(golden.norms)) near(norms.get(key) as number, norm, key);
    });
    for (const p of model.parameters()) p.dispose();
  });
});
