import { gradients, memory, noGrad, ops, resetPeakMemory, scope, type Tensor, tensor, zeros } from "@rfdetr/torch";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Target } from "../data/target.js";
import { uniforms } from "../instruments/peers/deterministic-fill.js";
import type { Outputs } from "../model/outputs.js";
import { centreToCorners, cornersToCentre, overlaps } from "./boxes.js";
import type { ClassificationKind } from "./classification.js";
import { Criterion } from "./criterion.js";
import { elementsAtOnce } from "./masks.js";
import { costTemporaries, HungarianMatcher } from "./matcher.js";

const toyLogits = (): Tensor =>
  tensor(
    Float32Array.from(uniforms("lg", 24), (u) => 2 * u),
    { shape: [2, 4, 3] },
  );
const toyBoxes = (): Tensor =>
  tensor(
    Float32Array.from(uniforms("bx", 32), (u) => (u + 1.2) / 3),
    { shape: [2, 4, 4] },
  );
const toyTargets: Target[] = [
  { imageId: 0, labels: Int32Array.of(0, 2), boxes: Float32Array.of(0.4, 0.5, 0.3, 0.3, 0.6, 0.3, 0.2, 0.5) },
  { imageId: 1, labels: Int32Array.of(1), boxes: Float32Array.of(0.5, 0.5, 0.4, 0.6) },
];
const toyOutputs = (logits = toyLogits(), boxes = toyBoxes()): Outputs => ({
  predLogits: logits,
  predBoxes: boxes,
  auxOutputs: [],
  encOutputs: { predLogits: logits, predBoxes: boxes },
});
const values = (terms: Map<string, Tensor>, ...names: string[]): number[] =>
  names.map((name) => (terms.get(name) as Tensor).item());

describe("boxes", () => {
  it("have the generalised IoU of the Python package", () => {
    const a = centreToCorners(toyBoxes().select(0, 0)).unsqueeze(1);
    const b = centreToCorners(tensor(toyTargets[0].boxes, { shape: [1, 2, 4] }));
    const golden = [
      [-0.436555, -0.451635],
      [-0.239766, -0.161838],
      [0.150259, -0.480603],
      [-0.273489, -0.434139],
    ];
    for (const [i, row] of (overlaps(a, b).giou.toList() as number[][]).entries())
      for (const [j, value] of row.entries()) expect(value).toBeCloseTo(golden[i][j], 5);
  });

  it("have an IoU of 0, not NaN, if both are empty", () => {
    const empty = zeros([1, 4]);
    expect(overlaps(empty, empty).iou.item()).toBe(0);
    expect(Number.isFinite(overlaps(empty, empty).giou.item())).toBe(true);
  });

  const box = fc.tuple(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0.001, max: 1, noNaN: true }),
    fc.double({ min: 0.001, max: 1, noNaN: true }),
  );
  it("have a bounded and symmetric IoU that is 1 for equal boxes, and conversions invert each other", () => {
    fc.assert(
      fc.property(box, box, (p, q) =>
        scope(() => {
          const [a, b] = [p, q].map((c) => centreToCorners(tensor([c], { dtype: "float64" })));
          const { iou, giou } = overlaps(a, b);
          expect(iou.item()).toBeGreaterThanOrEqual(0);
          expect(iou.item()).toBeLessThanOrEqual(1 + 1e-12);
          expect(giou.item()).toBeLessThanOrEqual(iou.item() + 1e-12);
          expect(giou.item()).toBeGreaterThanOrEqual(-1 - 1e-12);
          expect(overlaps(b, a).giou.item()).toBeCloseTo(giou.item(), 12);
          expect(overlaps(a, a).giou.item()).toBeCloseTo(1, 12);
          for (const [i, value] of (cornersToCentre(a).flatten().toList() as number[]).entries())
            expect(value).toBeCloseTo(p[i], 12);
        }),
      ),
      { numRuns: 100 },
    );
  });
});

describe("HungarianMatcher", () => {
  it("matches the toy case as the Python package does, with one group and with two", () => {
    const [one] = new HungarianMatcher().match([toyOutputs()], toyTargets, 1);
    expect([[...one.batch], [...one.query], [...one.target]]).toEqual([
      [0, 0, 1],
      [1, 2, 1],
      [1, 0, 0],
    ]);
    const [two] = new HungarianMatcher().match([toyOutputs()], toyTargets, 2);
    expect([[...two.batch], [...two.query], [...two.target]]).toEqual([
      [0, 0, 0, 0, 1, 1],
      [0, 1, 2, 3, 1, 2],
      [1, 0, 0, 1, 0, 0],
    ]);
  });

  it("matches many boxes, whose costs are computed in pieces, as it matches each layer and image alone", () => {
    const [queries, counts] = [4000, [130, 5, 20]];
    const random = (name: string, width: number) => uniforms(name, 3 * queries * width);
    const layers = ["first", "second"].map((name) => ({
      predLogits: tensor(Float32Array.from(random(`${name} logits`, 3)), { shape: [3, queries, 3] }),
      predBoxes: tensor(
        Float32Array.from(random(`${name} boxes`, 4), (u) => (u + 1.2) / 3),
        { shape: [3, queries, 4] },
      ),
    }));
    const targets = counts.map((count, imageId): Target => {
      const labels = Int32Array.from({ length: count }, (_, i) => i % 3);
      return {
        imageId,
        labels,
        boxes: Float32Array.from(uniforms(`truth ${imageId}`, count * 4), (u) => (u + 1.2) / 3),
      };
    });
    resetPeakMemory();
    const before = memory().liveBytes;
    const matched = new HungarianMatcher().match(layers, targets, 2);
    // A piece has at most a million costs.
    const costs = 4 * layers.length * 3 * queries * 130;
    expect(memory().peakBytes - before).toBeLessThan(2 * costs + costTemporaries * 4 * 1_000_000);
    layers.forEach(({ predLogits, predBoxes }, layer) => {
      const alone = targets.flatMap((target, image) => {
        const own = { predLogits: predLogits.narrow(0, image, 1), predBoxes: predBoxes.narrow(0, image, 1) };
        const [{ query, target: truth }] = new HungarianMatcher().match([own], [target], 2);
        return Array.from(query, (q, i) => [image, q, truth[i]]);
      });
      const { batch, query, target } = matched[layer];
      expect(Array.from(batch, (image, i) => [image, query[i], target[i]])).toEqual(alone);
    });
  });

  it("computes on a GPU as many costs at once as take 512 MiB", () => {
    const bytes = elementsAtOnce("cuda:0", costTemporaries) * 4 * costTemporaries;
    expect(bytes).toBeGreaterThan(0.9 * 2 ** 29);
    expect(bytes).toBeLessThanOrEqual(2 ** 29);
  });

  it("accepts images without targets, more targets than queries, and non-finite predictions", () => {
    const matcher = new HungarianMatcher();
    const none: Target = { imageId: 0, labels: new Int32Array(0), boxes: new Float32Array(0) };
    expect(matcher.match([toyOutputs()], [none, none], 1)[0].query.length).toBe(0);
    expect([...matcher.match([toyOutputs()], [none, toyTargets[1]], 1)[0].batch]).toEqual([1]);
    const crowd: Target = {
      imageId: 1,
      labels: Int32Array.from({ length: 9 }, () => 1),
      boxes: Float32Array.from({ length: 36 }, (_, i) => 0.1 + (i % 7) / 10),
    };
    const [many] = matcher.match([toyOutputs()], [none, crowd], 2);
    expect([...many.query]).toEqual([0, 1, 2, 3]);
    expect([matcher.sawNonFinite, matcher.warning()]).toEqual([false, null]);
    expect(matcher.match([toyOutputs(ops.fullLike(toyLogits(), Number.NaN))], toyTargets, 1)[0].query.length).toBe(3);
    expect(matcher.sawNonFinite).toBe(true);
    expect(matcher.warning()).toMatch(/costs were not finite/);
    expect(matcher.warning()).toBe(null);
  });

  it("still matches the other images if one has NaN boxes", () => {
    const broken = toyBoxes();
    noGrad(() => broken.select(0, 0).fill_(Number.NaN));
    const [matching] = new HungarianMatcher().match([toyOutputs(toyLogits(), broken)], toyTargets, 2);
    expect([...matching.batch]).toEqual([0, 0, 0, 0, 1, 1]);
    expect([...matching.query].slice(4)).toEqual([1, 2]);
  });
});

describe("Criterion", () => {
  // Goldens of the Python package: one group as in evaluation, two groups as in training.
  it.each<[ClassificationKind, number, number]>([
    ["ia_bce", 2.82911, 1.730602],
    ["position", 1.696114, 0.762438],
    ["varifocal", 1.854227, 0.860834],
    ["focal", 1.829672, 0.686358],
  ])("%s gives the classification loss of the Python package", (kind, evaluation, training) => {
    const criterion = new Criterion({ groupDetr: 2, kind });
    expect(values(criterion.compute(toyOutputs(), toyTargets, { training: false }).terms, "loss_ce")[0]).toBeCloseTo(
      evaluation,
      5,
    );
    expect(values(criterion.compute(toyOutputs(), toyTargets, { training: true }).terms, "loss_ce")[0]).toBeCloseTo(
      training,
      5,
    );
  });

  it("gives the box losses, class error and cardinality error of the Python package", () => {
    const criterion = new Criterion({ groupDetr: 2 });
    const names = ["loss_bbox", "loss_giou", "class_error", "cardinality_error"];
    for (const [training, golden] of [
      [false, [0.34802, 0.91326, 66.6667, 1.5]],
      [true, [0.542938, 1.101009, 50]],
    ] as const) {
      const seen = values(criterion.compute(toyOutputs(), toyTargets, { training }).terms, ...names);
      for (const [i, value] of golden.entries()) expect(seen[i]).toBeCloseTo(value, 4);
    }
  });

  it("divides by the boxes of the batch, or by the number it is given, which may be a fraction; never by less than 1", () => {
    const criterion = new Criterion({ groupDetr: 2 });
    const own = toyTargets.reduce((sum, { labels }) => sum + labels.length, 0);
    const total = (boxes?: number): number =>
      criterion
        .compute(toyOutputs(), toyTargets, { training: true, ...(boxes === undefined ? {} : { boxes }) })
        .total.item();
    expect(total(own)).toBe(total());
    expect(total(2.5)).toBeCloseTo((total() * own) / 2.5, 4);
    expect(total(0)).toBeCloseTo(total() * own * 2, 4);
  });

  it.each(["ia_bce", "position", "varifocal", "focal"] as const)(
    "multiplies what a match costs in %s by the weight of its class, and nothing else",
    (kind) => {
      const loss = (classWeights: number[] | null): number => {
        const { terms } = new Criterion({ groupDetr: 1, kind, classWeights }).compute(toyOutputs(), toyTargets, {
          training: true,
        });
        return values(terms, "loss_ce")[0];
      };
      const plain = loss(null);
      expect(loss([1, 1, 1])).toBe(plain);
      const [first, second, third] = [0, 1, 2].map((c) => loss([0, 1, 2].map((k) => (k === c ? 2 : 1))) - plain);
      for (const cost of [first, second, third]) expect(cost).toBeGreaterThan(0);
      expect(loss([4, 1, 0])).toBeCloseTo(plain + 3 * first - third, 5);
    },
  );

  it("has the gradients of finite differences", () => {
    for (const kind of ["ia_bce", "focal"] as const) {
      const logits = toyLogits().to("float64");
      const boxes = toyBoxes().to("float64");
      logits.requiresGrad = true;
      boxes.requiresGrad = true;
      const criterion = new Criterion({ groupDetr: 1, kind });
      const loss = (): Tensor => criterion.compute(toyOutputs(logits, boxes), toyTargets, { training: true }).total;
      const [dLogits, dBoxes] = gradients([loss()], [logits, boxes]) as Tensor[];
      for (const [x, gradient] of kind === "focal"
        ? [
            [logits, dLogits],
            [boxes, dBoxes],
          ]
        : [[boxes, dBoxes]]) {
        const analytic = gradient.flatten().toList() as number[];
        const flat = x.detach().flatten();
        // The soft targets of ia_bce depend on the IoU but carry no gradient. So the box losses are checked without the
        // classification term.
        const only =
          kind === "ia_bce" ? new Criterion({ groupDetr: 1, kind, weights: { ce: 0, bbox: 5, giou: 2 } }) : criterion;
        for (let i = 0; i < 10; i++) {
          const h = 1e-6;
          const at = flat.narrow(0, i, 1);
          at.add_(h);
          const up = only.compute(toyOutputs(logits, boxes), toyTargets, { training: true }).total.item();
          at.sub_(2 * h);
          const down = only.compute(toyOutputs(logits, boxes), toyTargets, { training: true }).total.item();
          at.add_(h);
          expect(analytic[i]).toBeCloseTo((up - down) / (2 * h), 5);
        }
      }
    }
  });

  it("trains the logits, but not the boxes, of a batch without targets", () => {
    const logits = toyLogits();
    const boxes = toyBoxes();
    logits.requiresGrad = true;
    boxes.requiresGrad = true;
    const none: Target = { imageId: 0, labels: new Int32Array(0), boxes: new Float32Array(0) };
    const { total, terms } = new Criterion({ groupDetr: 2 }).compute(toyOutputs(logits, boxes), [none, none], {
      training: true,
    });
    total.backward();
    expect(total.item()).toBeGreaterThan(0);
    expect(values(terms, "loss_bbox", "loss_giou", "class_error")).toEqual([0, 0, 100]);
    expect((logits.grad as Tensor).abs().sum().item()).toBeGreaterThan(0);
    expect(boxes.grad?.abs().sum().item() ?? 0).toBe(0);
  });

  it("computes in float32 from bfloat16 logits", () => {
    const { total } = new Criterion({ groupDetr: 1 }).compute(toyOutputs(toyLogits().to("bfloat16")), toyTargets, {
      training: true,
    });
    expect(total.dtype).toBe("float32");
  });

  it("returns a NaN loss for NaN logits, which the trainer handles", () => {
    const { total } = new Criterion({ groupDetr: 1 }).compute(
      toyOutputs(ops.fullLike(toyLogits(), Number.NaN)),
      toyTargets,
      {
        training: true,
      },
    );
    expect(total.item()).toBeNaN();
  });

  it("rejects a label without a logit and names the image", () => {
    const wrong: Target = { imageId: 7, labels: Int32Array.of(3), boxes: Float32Array.of(0.5, 0.5, 0.1, 0.1) };
    expect(() => new Criterion({ groupDetr: 1 }).compute(toyOutputs(), [wrong, wrong], { training: true })).toThrow(
      /labels from 0 to 2 but received 3 in image 7/,
    );
  });

  it("leaks no tensor", () => {
    const before = memory().liveTensors;
    scope(() => {
      for (let i = 0; i < 3; i++) new Criterion({ groupDetr: 2 }).compute(toyOutputs(), toyTargets, { training: true });
    });
    expect(memory().liveTensors).toBe(before);
  });
});
