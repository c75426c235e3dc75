import {
  type DType,
  gradients,
  manualSeed,
  memory,
  randn,
  resetPeakMemory,
  scope,
  type Tensor,
  tensor,
} from "@rfdetr/torch";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Target } from "../data/target.js";
import { uniforms } from "../instruments/peers/deterministic-fill.js";
import { decodeMask, encodeMask, type Mask } from "../masks/mask.js";
import type { MaskFeatures, Outputs } from "../model/outputs.js";
import { Criterion } from "./criterion.js";
import { defaultMaskOptions, maskCosts, maskLosses } from "./masks.js";
import { HungarianMatcher } from "./matcher.js";
import { type DrawPoints, drawPoints, evenPoints, randomPoints, sampleMaps, uncertainPoints } from "./points.js";
import { TrueMasks } from "./true-masks.js";

const numbers = (x: Tensor): number[] => x.flatten().toList() as number[];

/** A mask of a rectangle: rows and columns from, and up to but without. */
const rectangle = (height: number, width: number, [top, left, bottom, right]: number[]): Mask =>
  encodeMask(
    Uint8Array.from({ length: height * width }, (_, i) => {
      const [y, x] = [Math.floor(i / width), i % width];
      return Number(y >= top && y < bottom && x >= left && x < right);
    }),
    height,
    width,
  );
const target = (imageId: number, masks: Mask[]): Target => ({
  imageId,
  masks,
  labels: new Int32Array(masks.length),
  boxes: Float32Array.from(masks.flatMap(() => [0.5, 0.5, 0.5, 0.5])),
});

/** The same points for every mask, so that the order of the masks does not matter. */
const samePoints: DrawPoints = ([count, points]) =>
  tensor(
    Float32Array.from(uniforms(`${points} points`, points * 2), (u) => (u + 1) / 2),
    { shape: [1, points, 2] },
  ).expand([count, -1, -1]);

/** Predicted masks that are pieces of the image: each channel is the logit of one piece, each query reads a channel. */
function predictions(channels: readonly Mask[], logit: number, queries: readonly number[]): MaskFeatures {
  const { height, width } = channels[0];
  const maps = channels.flatMap((mask) => Array.from(decodeMask(mask), (bit) => (bit ? logit : -logit)));
  const rows = queries.flatMap((channel) => channels.map((_, i) => Number(i === channel)));
  return {
    spatialFeatures: tensor(Float32Array.from(maps), { shape: [1, channels.length, height, width] }),
    queryFeatures: tensor(Float32Array.from(rows), { shape: [1, queries.length, channels.length] }),
    bias: tensor([0], { dtype: "float32" }),
  };
}

const outputsOf = (predMasks: MaskFeatures): Outputs => {
  const [batch, queries] = predMasks.queryFeatures.shape;
  const own = {
    predLogits: tensor(new Float32Array(batch * queries), { shape: [batch, queries, 1] }),
    predBoxes: tensor(new Float32Array(batch * queries * 4).fill(0.5), { shape: [batch, queries, 4] }),
    predMasks,
  };
  return { ...own, auxOutputs: [], encOutputs: own };
};
const term = (criterion: Criterion, outputs: Outputs, targets: Target[], name: string): number =>
  (criterion.compute(outputs, targets, { training: false }).terms.get(name) as Tensor).item();

describe("points", () => {
  it("of a map take the value between the centres of its pixels, and that of the edge beyond them", () => {
    const map = tensor([[[[0, 8]]]], { dtype: "float32" });
    const points = tensor(
      [
        [
          [0.25, 0.5],
          [0.5, 0.5],
          [0.75, 0.1],
          [0, 0],
          [0.999, 0.999],
        ],
      ],
      { dtype: "float32" },
    );
    expect(numbers(sampleMaps(map, points))).toEqual([0, 4, 8, 0, 8]);
  });

  it("are in three of four cases the most undecided of three times as many, and else fresh", () => {
    // The logit falls from 6 at the left to −6 at the right and is 0 in the middle.
    const ramp = tensor(
      Float32Array.from({ length: 64 }, (_, x) => 6 - (12 * (x + 0.5)) / 64),
      { shape: [1, 1, 1, 64] },
    );
    manualSeed(3);
    const drawn = drawPoints(randomPoints, 1, 100, "cpu");
    expect([drawn.candidates.shape, drawn.fresh.shape]).toEqual([
      [1, 300, 2],
      [1, 25, 2],
    ]);
    const across = (x: Tensor): number[] => numbers(x.select(2, 0));
    const chosen = across(uncertainPoints(ramp, drawn));
    const distance = (x: number): number => Math.abs(x - 0.5);
    const nearest = across(drawn.candidates)
      .sort((a, b) => distance(a) - distance(b))
      .slice(0, 75);
    expect(chosen.slice(0, 75).sort()).toEqual(nearest.sort());
    expect(chosen.slice(75)).toEqual(across(drawn.fresh));
  });

  it("come from the generator of libtorch, so that a seed repeats them", () => {
    const draw = (): number[] => {
      manualSeed(7);
      return numbers(randomPoints([2, 3, 2], "cpu"));
    };
    expect(draw()).toEqual(draw());
  });
});

describe("even points", () => {
  it("are the same for all masks, and every part of the image has its share of them", () => {
    const points = evenPoints([3, 400, 2], "cpu").toList() as [number, number][][];
    expect(points[1]).toEqual(points[0]);
    const cells = new Map<number, number>();
    for (const [x, y] of points[2]) {
      const cell = Math.floor(5 * x) + 5 * Math.floor(5 * y);
      cells.set(cell, (cells.get(cell) ?? 0) + 1);
    }
    // 400 points in 25 cells are 16 in each.
    expect(cells.size).toBe(25);
    for (const count of cells.values()) expect(Math.abs(count - 16)).toBeLessThanOrEqual(3);
  });

  it("make the loss of masks in evaluation the same whenever it is computed", () => {
    const pieces = [rectangle(16, 16, [2, 3, 9, 12])];
    const outputs = outputsOf(predictions(pieces, 3, [0, 0]));
    const total = (training: boolean): number =>
      new Criterion({ groupDetr: 1 }).compute(outputs, [target(0, pieces)], { training }).total.item();
    expect(total(false)).toBe(total(false));
    expect(total(true)).not.toBe(total(true));
  });
});

describe("TrueMasks", () => {
  const mask = fc
    .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }))
    .chain(([height, width]) =>
      fc
        .array(fc.boolean(), { minLength: height * width, maxLength: height * width })
        .map((bits) => encodeMask(bits.map(Number), height, width)),
    );

  it("have at the centre of each pixel its bit, whatever sizes the masks of a batch have", () => {
    fc.assert(
      fc.property(fc.array(fc.array(mask, { maxLength: 3 }), { minLength: 1, maxLength: 3 }), (images) =>
        scope(() => {
          const truth = new TrueMasks(
            images.map((masks, i) => target(i, masks)),
            "cpu",
          );
          images.forEach((masks, image) => {
            masks.forEach((own, k) => {
              const centres = Array.from({ length: own.height * own.width }, (_, i) => [
                ((i % own.width) + 0.5) / own.width,
                (Math.floor(i / own.width) + 0.5) / own.height,
              ]);
              const points = tensor([centres], { dtype: "float32" });
              expect(numbers(truth.sample(Int32Array.of(image), Int32Array.of(k), points))).toEqual([
                ...decodeMask(own),
              ]);
            });
          });
        }),
      ),
      { numRuns: 100 },
    );
  });

  it("have the outer pixels at the edge of the image", () => {
    const truth = new TrueMasks([target(0, [encodeMask([1, 0, 0, 1], 2, 2)])], "cpu");
    const corners = tensor(
      [
        [
          [0, 0],
          [0.9999999, 0],
          [0, 0.9999999],
          [0.9999999, 0.9999999],
        ],
      ],
      { dtype: "float32" },
    );
    expect(numbers(truth.sample(Int32Array.of(0), Int32Array.of(0), corners))).toEqual([1, 0, 0, 1]);
  });

  it("name the image whose masks are missing", () => {
    const { masks: _, ...without } = target(7, [rectangle(4, 4, [0, 0, 2, 2])]);
    expect(() => new TrueMasks([target(1, []), without], "cpu")).toThrow(/Expected 1 masks in image 7 but received 0/);
  });
});

describe("the costs of masks", () => {
  it("are those of each pair alone", () => {
    const side = fc.integer({ min: 1, max: 5 });
    const real = fc.double({ min: -30, max: 30, noNaN: true });
    fc.assert(
      fc.property(
        side,
        side,
        side,
        fc.infiniteStream(real),
        fc.infiniteStream(fc.boolean()),
        (n, t, p, reals, bits) => {
          const logits = Array.from({ length: n }, () => Array.from({ length: p }, () => reals.next().value as number));
          const truth = Array.from({ length: t }, () => Array.from({ length: p }, () => Number(bits.next().value)));
          // One channel for each point, whose map is 1 at the point alone.
          const spatialFeatures = tensor(
            Float64Array.from({ length: p * p }, (_, i) => Number(i % p === Math.floor(i / p))),
            { shape: [1, p, 1, p] },
          );
          const centres = tensor([Array.from({ length: p }, (_, i) => [(i + 0.5) / p, 0.5])], { dtype: "float64" });
          const features = {
            spatialFeatures,
            queryFeatures: tensor([logits], { dtype: "float64" }),
            bias: tensor([0.5], { dtype: "float64" }),
          };
          const [costs] = maskCosts(features, centres, tensor([truth], { dtype: "float64" }), {
            ce: 2,
            dice: 3,
          }).toList() as number[][][];
          logits.forEach((row, i) => {
            truth.forEach((own, j) => {
              let [ce, both, sum] = [0, 0, 0];
              row.forEach((logit, k) => {
                const x = logit + 0.5;
                const score = 1 / (1 + Math.exp(-x));
                ce += (Math.max(x, 0) - x * own[k] + Math.log1p(Math.exp(-Math.abs(x)))) / p;
                both += score * own[k];
                sum += score + own[k];
              });
              expect(costs[i][j]).toBeCloseTo(2 * ce + 3 * (1 - (2 * both + 1) / (sum + 1)), 7);
            });
          });
        },
      ),
      { numRuns: 50 },
    );
  });

  it("decide the matches of queries that are equal in all else, in any order of the targets", () => {
    const pieces = [
      [0, 0, 8, 8],
      [0, 8, 8, 16],
      [8, 0, 16, 16],
    ].map((piece) => rectangle(16, 16, piece));
    const outputs = outputsOf(predictions(pieces, 4, [1, 0, 2, 1]));
    const matcher = new HungarianMatcher(undefined, { ...defaultMaskOptions, draw: samePoints });
    for (const order of [
      [0, 1, 2],
      [2, 0, 1],
      [1, 2, 0],
    ]) {
      const [{ query, target: matched }] = matcher.match(
        [outputs],
        [
          target(
            0,
            order.map((i) => pieces[i]),
          ),
        ],
        1,
      );
      const queryOf = new Map([...matched].map((t, i) => [order[t], query[i]]));
      expect([queryOf.get(0), queryOf.get(2)]).toEqual([1, 2]);
      expect([0, 3]).toContain(queryOf.get(1));
    }
  });

  it("of many images give the matches of each alone, also where their numbers of objects differ", () => {
    manualSeed(5);
    const counts = [0, 3, 1, 5];
    const predMasks = {
      spatialFeatures: randn([counts.length, 4, 8, 8]),
      queryFeatures: randn([counts.length, 6, 4]),
      bias: tensor([0], { dtype: "float32" }),
    };
    const targets = counts.map((count, image) =>
      target(
        image,
        Array.from({ length: count }, (_, i) => rectangle(16, 16, [i, image, i + 9, image + 5 + i])),
      ),
    );
    const matcher = new HungarianMatcher(undefined, { ...defaultMaskOptions, draw: samePoints });
    const [{ batch, query, target: matched }] = matcher.match([outputsOf(predMasks)], targets, 2);
    const found = counts.map((_, image) => [...batch.keys()].filter((i) => batch[i] === image));
    counts.forEach((_, image) => {
      const own = {
        ...predMasks,
        spatialFeatures: predMasks.spatialFeatures.narrow(0, image, 1),
        queryFeatures: predMasks.queryFeatures.narrow(0, image, 1),
      };
      const [alone] = matcher.match([outputsOf(own)], [targets[image]], 2);
      expect(found[image].map((i) => [query[i], matched[i]])).toEqual(
        [...alone.query].map((q, i) => [q, alone.target[i]]),
      );
    });
  });

  it("compare masks of fewer pixels than there are for a point at one point", () => {
    const matcher = new HungarianMatcher();
    const pieces = [rectangle(3, 3, [0, 0, 2, 2])];
    const [{ query }] = matcher.match([outputsOf(predictions(pieces, 4, [0, 0]))], [target(0, pieces)], 1);
    expect([query.length, matcher.sawNonFinite]).toEqual([1, false]);
  });

  it("take memory for some queries at once, not for all", () => {
    const [queries, side, depth] = [3000, 160, 4];
    const predMasks = {
      spatialFeatures: randn([1, depth, side, side]),
      queryFeatures: randn([1, queries, depth]),
      bias: tensor([0], { dtype: "float32" }),
    };
    const layer = outputsOf(predMasks);
    const targets = [
      target(
        0,
        Array.from({ length: 20 }, () => rectangle(320, 320, [0, 0, 160, 160])),
      ),
    ];
    resetPeakMemory();
    const before = memory().liveBytes;
    new HungarianMatcher().match([layer], targets, 1);
    // All sampled logits would be 3000 · 1600 numbers, and there are a few temporaries as large.
    expect(memory().peakBytes - before).toBeLessThan(6 * 4 * 1_000_000);
  });
});

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
