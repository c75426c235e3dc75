import { readFileSync } from "node:fs";
import { noGrad, scope } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { fillImages, fillModel } from "../../instruments/peers/deterministic-fill.js";
import { inOrderOf, selectionOf } from "../../testing/selection-order.js";
import { RFDETRModel } from "../rfdetr.js";
import { resolveModel } from "../variants.js";

/** One of the twenty queries with the largest logits. */
type Row = [label: number, logit: number, mean: number, cx: number, cy: number, w: number, h: number];
interface Golden {
  rectangle: [height: number, width: number];
  float32: Row[];
  float64: Row[];
}
const golden = JSON.parse(readFileSync(new URL("./fixtures/variants.json", import.meta.url), "utf8")) as Record<
  string,
  Golden
>;

/** One row for each query. */
function rows(model: RFDETRModel, height: number, width: number): Row[] {
  return noGrad(() =>
    scope(() => {
      const dtype = model.classEmbed.weight.dtype;
      const { predLogits, predBoxes } = model.call(fillImages(1, height, width).to(dtype));
      const [logits, boxes] = [
        predLogits.select(0, 0).toList() as number[][],
        predBoxes.select(0, 0).toList() as number[][],
      ];
      return logits.map((row, i) => {
        const top = Math.max(...row);
        return [row.indexOf(top), top, row.reduce((a, b) => a + b, 0) / row.length, ...boxes[i]] as Row;
      });
    }),
  );
}

/** Finds each golden row at any position: queries whose scores differ in the last bit may come in another order. */
function contains(own: readonly Row[], expected: readonly Row[], logit: number, box: number): void {
  for (const row of expected) {
    const [label, ...numbers] = row;
    const found = own.some(
      ([l, ...n]) => l === label && n.every((v, i) => Math.abs(v - numbers[i]) < (i < 2 ? logit : box)),
    );
    expect(found, `no query like ${JSON.stringify(row)}`).toBe(true);
  }
}

/** Runs `body` in float32 with the order of selected queries that float64 gives. */
function inOrderOfFloat64<T>(model: RFDETRModel, height: number, width: number, body: () => T): T {
  scope(() => void model.to("float64"));
  const selection = selectionOf(() => rows(model, height, width));
  scope(() => void model.to("float32"));
  return inOrderOf(selection, body);
}

describe.each(Object.entries(golden))(
  "the forward of %s",
  (variant, { rectangle: [height, width], float32, float64 }) => {
    const config = resolveModel(variant);
    const model = new RFDETRModel(config);
    fillModel(model);
    model.eval();

    it(`agrees with the Python package at ${config.resolution} px: logits to 1e-4, boxes to 1e-5`, () => {
      const side = config.resolution;
      contains(
        inOrderOfFloat64(model, side, side, () => rows(model, side, side)),
        float32,
        1e-4,
        1e-5,
      );
    });

    it(`agrees at ${height} × ${width} px in float64 to 1e-9`, () => {
      scope(() => void model.to("float64"));
      const own = rows(model, height, width).sort((a, b) => b[1] - a[1]);
      contains(own, float64, 1e-9, 1e-9);
      expect(own.slice(0, 20).map(([label]) => label)).toEqual(float64.map(([label]) => label));
    });
  },
);
