import { type DType, gradients, manualSeed, randn, scope, type Tensor, tensor } from "@rfdetr/torch";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Target } from "../data/target.js";
import { encodeMask } from "../masks/mask.js";
import type { Outputs } from "../model/outputs.js";
import { numbers, outputsOf, predictions, rectangle, samePoints, target } from "../testing/mask-predictions.js";
import { Criterion } from "./criterion.js";
import { defaultMaskOptions, maskLosses } from "./masks.js";
import { randomPoints } from "./points.js";
import { TrueMasks } from "./true-masks.js";

const term = (criterion: Criterion, outputs: Outputs, targets: Target[], name: string): number =>
  (criterion.compute(outputs, targets, { training: false }).terms.get(name) as Tensor).item();

describe("the losses of masks", () => {
  const criterion = new Criterion({ groupDetr: 1, masks: { draw: samePoints } });
  const pieces = [rectangle(16, 16, [2, 3, 9, 12]), rectangle(16, 16, [8, 4, 15, 8])];

  it("are next to nothing for masks that are right and sure, and large for masks that are wrong", () => {
    const right = outputsOf(predictions(pieces, 50, [0, 1]));
    const wrong = outputsOf(predictions(pieces, -50, [0, 1]));
    const targets = [target(0, pieces)];
    // Between the centres of pixels a bilinear map passes 0, where three of four points are.
    expect(term(criterion, right, targets, "loss_mask_ce")).toBeLessThan(
      term(criterion, wrong, targets, "loss_mask_ce") / 10,
    );
    const flat = outputsOf(predictions([rectangle(16, 16, [0, 0, 16, 16])], 50, [0, 0]));
    const full = [target(0, [rectangle(16, 16, [0, 0, 16, 16]), rectangle(5, 7, [0, 0, 5, 7])])];
    expect(term(criterion, flat, full, "loss_mask_ce")).toBeLessThan(1e-6);
    expect(term(criterion, flat, full, "loss_mask_dice")).toBeLessThan(1e-6);
    expect(term(criterion, flat, [target(0, [encodeMask(new Uint8Array(4), 2, 2)])], "loss_mask_ce")).toBeCloseTo(
      50,
      3,
    );
  });

  it("do not depend on the order of the targets", () => {
    const outputs = outputsOf(predictions(pieces, 3, [1, 0, 0]));
    for (const name of ["loss_mask_ce", "loss_mask_dice", "loss_mask_ce_enc"])
      expect(term(criterion, outputs, [target(0, [...pieces].reverse())], name)).toBeCloseTo(
        term(criterion, outputs, [target(0, pieces)], name),
        5,
      );
  });

  it("need the masks of all layers, which a model in evaluation mode predicts when it is asked to", () => {
    const outputs = outputsOf(predictions(pieces, 3, [0, 1]));
    const { predMasks: _, ...encOutputs } = outputs.encOutputs;
    expect(() => criterion.compute({ ...outputs, encOutputs }, [target(0, pieces)], { training: false })).toThrow(
      'Expected masks of every prediction layer but received none of "_enc"',
    );
  });

  it("enter the total with their weights", () => {
    const outputs = outputsOf(predictions(pieces, 3, [1, 0, 0]));
    const total = (masks: { ce?: number; dice?: number }): number => {
      const own = new Criterion({ groupDetr: 1, masks: { draw: samePoints, ...masks } });
      return own.compute(outputs, [target(0, pieces)], { training: false }).total.item();
    };
    const sum = (kind: string): number =>
      ["", "_enc"].reduce(
        (s, suffix) => s + term(criterion, outputs, [target(0, pieces)], `loss_mask_${kind}${suffix}`),
        0,
      );
    expect(total({}) - total({ dice: 2 })).toBeCloseTo(3 * sum("dice"), 4);
    expect(total({}) - total({ ce: 1 })).toBeCloseTo(4 * sum("ce"), 4);
  });

  it("are 0 without objects, and every feature then has a gradient of zeros, not none", () => {
    const features = predictions(pieces, 3, [0, 1]);
    const leaves = Object.values(features) as Tensor[];
    for (const leaf of leaves) leaf.requiresGrad = true;
    const { total, terms } = criterion.compute(outputsOf(features), [target(0, [])], { training: true });
    for (const name of ["loss_mask_ce", "loss_mask_dice", "loss_mask_ce_enc", "loss_mask_dice_enc"])
      expect(terms.get(name)?.item()).toBe(0);
    for (const gradient of gradients([total], leaves, { allowUnused: true }))
      expect(gradient?.abs().sum().item()).toBe(0);
  });

  it("leave out the images without objects", () => {
    const { spatialFeatures, queryFeatures, bias } = predictions(pieces, 3, [0, 1]);
    const pairs = { batch: Int32Array.of(1, 1), query: Int32Array.of(0, 1), target: Int32Array.of(1, 0) };
    const twice = {
      spatialFeatures: spatialFeatures.expand([2, -1, -1, -1]),
      queryFeatures: queryFeatures.expand([2, -1, -1]),
      bias,
    };
    const options = { ...defaultMaskOptions, draw: samePoints };
    const both = maskLosses(twice, pairs, new TrueMasks([target(0, []), target(1, pieces)], "cpu"), options);
    const alone = maskLosses(
      { spatialFeatures, queryFeatures, bias },
      { ...pairs, batch: Int32Array.of(0, 0) },
      new TrueMasks([target(1, pieces)], "cpu"),
      options,
    );
    expect([both.ce.item(), both.dice.item()]).toEqual([alone.ce.item(), alone.dice.item()]);
  });

  it("of many images at once are those of each alone, with their gradients", () => {
    const pieceOf = fc.tuple(fc.nat(7), fc.nat(7), fc.integer({ min: 8, max: 16 }), fc.integer({ min: 8, max: 16 }));
    const images = fc.array(fc.array(pieceOf, { maxLength: 6 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(images, fc.integer(), (each, seed) =>
        scope(() => {
          manualSeed(seed);
          const targets = each.map((list, i) =>
            target(
              i,
              list.map((piece) => rectangle(16, 16, piece)),
            ),
          );
          const queries = 7;
          const leaves = [randn([each.length, 3, 8, 8]), randn([each.length, queries, 3]), randn([1])].map((x) => {
            const leaf = x.double();
            leaf.requiresGrad = true;
            return leaf;
          });
          const [spatialFeatures, queryFeatures, bias] = leaves as [Tensor, Tensor, Tensor];
          const rows = each.flatMap((list, image) =>
            list.map((_, i) => [image, (2 * i + image) % queries, i] as const),
          );
          const column = (of: 0 | 1 | 2): Int32Array => Int32Array.from(rows, (row) => row[of]);
          const pairs = { batch: column(0), query: column(1), target: column(2) };
          const [alone, together] = [false, true].map((together) => {
            manualSeed(seed);
            const options = { ...defaultMaskOptions, draw: randomPoints, together };
            const features = { spatialFeatures, queryFeatures, bias };
            const { ce, dice } = maskLosses(features, pairs, new TrueMasks(targets, "cpu"), options);
            const found = gradients([ce.add(dice.mul(2))], leaves, { allowUnused: true });
            return [ce, dice, ...(found as Tensor[])].flatMap(numbers);
          });
          expect(together.length).toBe(alone.length);
          together.forEach((value, i) => {
            expect(value).toBeCloseTo(alone[i], 10);
          });
        }),
      ),
      { numRuns: 30 },
    );
  });

  it.each<DType>(["float16", "bfloat16"])(
    "are computed in float32 from %s: logits beyond the range of float16 are finite, and so are costs and gradients",
    (dtype) => {
      // Each logit is 256 · 30 · 30 = 230,400.
      const leaf = (shape: number[]): Tensor => {
        const made = tensor(new Float32Array(shape.reduce((a, b) => a * b)).fill(30), { shape }).to(dtype);
        made.requiresGrad = true;
        return made;
      };
      const features = { spatialFeatures: leaf([1, 256, 8, 8]), queryFeatures: leaf([1, 3, 256]), bias: leaf([1]) };
      const own = new Criterion({ groupDetr: 1 });
      const { total, terms } = own.compute(outputsOf(features), [target(0, [rectangle(8, 8, [0, 0, 1, 8])])], {
        training: true,
      });
      expect([total.dtype, own.matcher.sawNonFinite]).toEqual(["float32", false]);
      expect(terms.get("loss_mask_ce")?.item()).toBeGreaterThan(65504);
      for (const gradient of gradients([total.mul(1e-3)], Object.values(features)))
        expect(numbers((gradient as Tensor).float()).every(Number.isFinite)).toBe(true);
    },
  );

  it("are the same in evaluation whenever they are computed, since its points are even", () => {
    const pieces = [rectangle(16, 16, [2, 3, 9, 12])];
    const outputs = outputsOf(predictions(pieces, 3, [0, 0]));
    const total = (training: boolean): number =>
      new Criterion({ groupDetr: 1 }).compute(outputs, [target(0, pieces)], { training }).total.item();
    expect(total(false)).toBe(total(false));
    expect(total(true)).not.toBe(total(true));
  });

  it("change no bit of the loss of a model that predicts none", () => {
    const { predMasks: _, ...detector } = outputsOf(predictions(pieces, 3, [1, 0, 0]));
    const { predLogits, predBoxes } = detector;
    const outputs = { ...detector, encOutputs: { predLogits, predBoxes } };
    const { masks: __, ...plain } = target(0, pieces);
    const [own, without] = [target(0, pieces), plain].map((each) =>
      criterion.compute(outputs, [each], { training: true }),
    );
    expect(own.total.item()).toBe(without.total.item());
    expect([...own.terms.keys()]).toEqual([...without.terms.keys()]);
    expect([...own.terms.keys()].filter((name) => name.includes("mask"))).toEqual([]);
  });
});
