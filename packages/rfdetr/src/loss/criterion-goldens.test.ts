import { readFileSync } from "node:fs";
import { gradients, scope, type Tensor, tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import type { Target } from "../data/target.js";
import { uniforms } from "../instruments/peers/deterministic-fill.js";
import type { Prediction } from "../model/outputs.js";
import type { ClassificationKind } from "./classification.js";
import { Criterion } from "./criterion.js";

/** Losses and gradients of the Python package in float64, written by `tools/reference/criterion_goldens.py`. */
interface Golden {
  name: string;
  kind: ClassificationKind;
  counts: number[];
  rows: number;
  selected: number;
  classes: number;
  groups: number;
  aux: number;
  terms: Record<string, number>;
  total: number;
  gradient_norms: number[];
  gradient_sums: number[];
}

const goldens = JSON.parse(readFileSync(new URL("./fixtures/criterion.json", import.meta.url), "utf8")) as Golden[];

function leaf(key: string, shape: number[], value: (u: number) => number): Tensor {
  const count = shape.reduce((a, b) => a * b, 1);
  const made = tensor(Float32Array.from(uniforms(key, count), value), { shape }).to("float64");
  made.requiresGrad = true;
  return made;
}

const prediction = (key: string, batch: number, rows: number, classes: number): Prediction => ({
  predLogits: leaf(`${key}.logits`, [batch, rows, classes], (u) => 3 * u - 1),
  predBoxes: leaf(`${key}.boxes`, [batch, rows, 4], (u) => (u + 1.2) / 3),
});

const targetsOf = ({ counts, classes }: Golden): Target[] =>
  counts.map((n, b) => ({
    imageId: b,
    labels: Int32Array.from({ length: n }, (_, k) => (7 * k + 3 * b + 1) % classes),
    boxes: Float32Array.from(uniforms(`target${b}`, n * 4), (u) => (u + 1.5) / 4),
  }));

describe("the criterion in float64 agrees with the Python package", () => {
  // Both round the matching costs to float32, so both find the same matches. Only the order of float64 sums differs,
  // and 1e-10 is far above that difference.
  const near = (value: number, golden: number): void =>
    expect(Math.abs(value - golden)).toBeLessThanOrEqual(1e-10 * Math.max(1, Math.abs(golden)));

  it.each(goldens.map((golden) => [`${golden.kind}: ${golden.name}`, golden] as const))("%s", (_, golden) => {
    scope(() => {
      const batch = golden.counts.length;
      const last = prediction("last", batch, golden.rows, golden.classes);
      const aux = Array.from({ length: golden.aux }, (_, i) =>
        prediction(`aux${i}`, batch, golden.rows, golden.classes),
      );
      const enc = prediction("enc", batch, golden.selected, golden.classes);
      const criterion = new Criterion({ groupDetr: golden.groups, kind: golden.kind });
      const { total, terms } = criterion.compute({ ...last, auxOutputs: aux, encOutputs: enc }, targetsOf(golden), {
        training: true,
      });

      expect([...terms.keys()].sort()).toEqual(Object.keys(golden.terms).sort());
      // Python computes class and cardinality errors in float32 whatever the outputs are.
      for (const [name, value] of Object.entries(golden.terms))
        if (name.includes("error")) expect((terms.get(name) as Tensor).item()).toBeCloseTo(value, 4);
        else near((terms.get(name) as Tensor).item(), value);
      near(total.item(), golden.total);

      const leaves = [last, ...aux, enc].flatMap((layer) => [layer.predLogits, layer.predBoxes]);
      gradients([total], leaves, { allowUnused: true }).forEach((gradient, i) => {
        const values = gradient === null ? [] : (gradient.flatten().toList() as number[]);
        const probe = uniforms("probe", values.length);
        near(Math.sqrt(values.reduce((sum, g) => sum + g * g, 0)), golden.gradient_norms[i]);
        near(
          values.reduce((sum, g, j) => sum + g * probe[j], 0),
          golden.gradient_sums[i],
        );
      });
    });
  });
});
