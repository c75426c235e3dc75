import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CocoEvaluator, type CocoSummary } from "./coco.js";
import { evaluateFiles, loadFiles } from "./coco-files.js";
import { IOU_THRESHOLDS, RECALL_POINTS } from "./coco-parameters.js";
import { stockFigures } from "./coco-summary.js";
import type { EvaluatedImage } from "./evaluated-image.js";

interface Golden {
  name: string;
  annotations: { images: { id: number }[]; categories: { id: number; name: string }[]; annotations: unknown[] };
  results: { image_id: number; category_id: number; bbox: number[]; score: number }[];
  max_dets: number[];
  expected: {
    stats: Record<string, number>;
    per_class: { class_id: number; AP: number; AP50: number; AP75: number; AR: number }[];
    precision_mark: number;
    recall_mark: number;
  };
}

/** The figures as pycocotools prints them. */
type Stock = { AP: number; per_class: Golden["expected"]["per_class"] };

const goldens: Golden[] = JSON.parse(readFileSync(new URL("./fixtures/coco.json", import.meta.url), "utf8"));
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "coco-eval-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

describe("COCO mean average precision equals pycocotools", () => {
  for (const golden of goldens) {
    it(golden.name, () => {
      const annotations = write("annotations.json", golden.annotations);
      const results = write("results.json", golden.results);
      const evaluator = loadFiles(annotations, results, { maxDets: golden.max_dets });
      const summary = stockFigures(evaluator.summarize()) as unknown as Stock;
      // The mean over up to 80 thousand precisions is summed in another order.
      for (const [key, value] of Object.entries(golden.expected.stats)) {
        expect(Math.abs(summary[key as "AP"] - value), `${key}: ${summary[key as "AP"]} ${value}`).toBeLessThan(1e-12);
      }
      for (const expected of golden.expected.per_class) {
        const found = summary.per_class.find(({ class_id }) => class_id === expected.class_id);
        for (const key of ["AP", "AP50", "AP75", "AR"] as const)
          expect(Math.abs((found?.[key] as number) - expected[key])).toBeLessThan(1e-12);
      }

      const { curves } = evaluator.evaluate();
      const K = golden.expected.per_class.length;
      let precisionMark = 0;
      let recallMark = 0;
      for (let t = 0, i = 0; t < 10; t++)
        for (let r = 0; r < 101; r++)
          for (let k = 0; k < K; k++)
            for (let a = 0; a < 4; a++)
              precisionMark += curves.precision[curves.precisionAt(k, a, t) + r] * Math.cos(i++);
      for (let t = 0, i = 0; t < 10; t++)
        for (let k = 0; k < K; k++)
          for (let a = 0; a < 4; a++)
            for (let m = 0; m < 3; m++) recallMark += curves.recall[curves.recallAt(k, a, t) + m] * Math.cos(i++);
      // Sums of some ten thousand terms of size 1.
      expect(precisionMark).toBeCloseTo(golden.expected.precision_mark, 8);
      expect(recallMark).toBeCloseTo(golden.expected.recall_mark, 8);
    });
  }

  it("counts images, instances and detections", () => {
    const golden = goldens[1];
    const summary = evaluateFiles(write("a.json", golden.annotations), write("r.json", golden.results));
    const truths = golden.annotations.annotations as { category_id: number; image_id: number; iscrowd: number }[];
    const regular = truths.filter(({ iscrowd }) => iscrowd === 0);
    expect(summary.images).toBe(golden.annotations.images.length);
    expect(summary.instances).toBe(regular.length);
    expect(summary.detections).toBe(golden.results.length);
    for (const { class_id, images, instances } of summary.per_class) {
      const own = regular.filter(({ category_id }) => category_id === class_id);
      expect(instances).toBe(own.length);
      expect(images).toBe(new Set(own.map(({ image_id }) => image_id)).size);
    }
  });

  it("uses NumPy's thresholds", () => {
    expect([...IOU_THRESHOLDS]).toEqual([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.8999999999999999, 0.95]);
    expect(RECALL_POINTS[29]).toBe(0.29);
    expect(RECALL_POINTS[57]).toBe(0.5700000000000001);
  });
});

const coordinate = fc.integer({ min: 0, max: 40 }).map((v) => v * 8);
const side = fc.integer({ min: 1, max: 15 }).map((v) => v * 8);
const box = fc.tuple(coordinate, coordinate, side, side).map(([x, y, w, h]) => [x, y, x + w, y + h]);
const truth = fc.record({ box, label: fc.integer({ min: 0, max: 2 }), crowd: fc.constantFrom(0, 0, 0, 1) });
const detection = fc.record({
  box,
  label: fc.integer({ min: 0, max: 2 }),
  score: fc.integer({ min: 0, max: 1000 }).map((v) => v / 1000),
});
const scene = fc.record({
  truths: fc.array(truth, { maxLength: 6 }),
  detections: fc.array(detection, { maxLength: 10 }),
});
type Scene = typeof scene extends fc.Arbitrary<infer T> ? T : never;

function image(id: number, { truths, detections }: Scene): EvaluatedImage {
  return {
    id,
    gt: { boxes: truths.flatMap((t) => t.box), labels: truths.map((t) => t.label), crowd: truths.map((t) => t.crowd) },
    detections: {
      boxes: detections.flatMap((d) => d.box),
      labels: detections.map((d) => d.label),
      scores: detections.map((d) => d.score),
    },
  };
}

function score(images: EvaluatedImage[], classNames = ["a", "b", "c"]): CocoSummary {
  const evaluator = new CocoEvaluator({ classNames });
  for (const entry of images) evaluator.addImage(entry);
  return evaluator.summarize();
}

describe("the figures", () => {
  it("do not depend on the order in which images arrive", () => {
    fc.assert(
      fc.property(fc.array(scene, { maxLength: 5 }), (scenes) => {
        const images = scenes.map((entry, id) => image(id, entry));
        expect(score([...images].reverse())).toEqual(score(images));
      }),
      { numRuns: 50 },
    );
  });

  it("do not depend on the scale of the scores", () => {
    fc.assert(
      fc.property(fc.array(scene, { maxLength: 5 }), (scenes) => {
        const images = scenes.map((entry, id) => image(id, entry));
        const squashed = images.map((entry) => ({
          ...entry,
          detections: { ...entry.detections, scores: Array.from(entry.detections.scores, (s) => s / 2 - 3) },
        }));
        expect(score(squashed)).toEqual(score(images));
      }),
      { numRuns: 50 },
    );
  });

  it("are 1 for detections equal to the ground truth, and lie between 0 and 1 or are null", () => {
    fc.assert(
      fc.property(fc.array(scene, { minLength: 1, maxLength: 5 }), (scenes) => {
        const images = scenes.map((entry, id) => image(id, entry));
        for (const [key, value] of Object.entries(score(images))) {
          if (/^A[PR]/.test(key)) expect(value === null || (value >= 0 && value <= 1)).toBe(true);
        }
        const perfect = images.map((entry) => ({
          ...entry,
          detections: {
            boxes: entry.gt.boxes,
            labels: entry.gt.labels,
            scores: Array.from(entry.gt.labels, (_, i) => 1 - i / 100),
          },
        }));
        const summary = score(perfect);
        // Precision carries the epsilon in its denominator.
        if (summary.instances > 0) for (const key of ["AP", "AR100"] as const) expect(summary[key]).toBeCloseTo(1, 12);
        else expect(summary.AP).toBe(null);
      }),
      { numRuns: 50 },
    );
  });

  it("are null throughout without any image, and -1 as pycocotools prints them", () => {
    const summary = score([]);
    const { AP, AR1, AP_small: small, per_class: classes, images } = summary;
    expect([AP, AR1, small, classes[0].AP, images]).toEqual([null, null, null, null, 0]);
    expect(stockFigures(summary)).toMatchObject({
      AP: -1,
      AR1: -1,
      AP_small: -1,
      per_class: [{ class_name: "a", AP: -1, AR: -1, instances: 0 }, {}, {}],
      images: 0,
    });
  });

  it("leave out detections of a background slot", () => {
    const scene: EvaluatedImage = {
      id: 1,
      gt: { boxes: [0, 0, 10, 10], labels: [0] },
      detections: { boxes: [0, 0, 10, 10, 0, 0, 10, 10], labels: [1, 0], scores: [0.9, 0.8] },
    };
    expect(score([scene], ["only"]).AP).toBeCloseTo(1, 12);
  });
});

describe("wrong input is named", () => {
  const evaluator = () => new CocoEvaluator({ classNames: ["a", "b"] });
  const empty = { boxes: [], labels: [], scores: [] };

  it("in arrays", () => {
    const add = (gt: EvaluatedImage["gt"], detections: EvaluatedImage["detections"]) => () =>
      evaluator().addImage({ id: "x.jpg", gt, detections });
    expect(add({ boxes: [0, 0, 1], labels: [0] }, empty)).toThrow(
      /^Expected 4 entries for gt.boxes of image x.jpg but received 3$/,
    );
    expect(add({ boxes: [0, 0, 1, 1], labels: [2] }, empty)).toThrow(
      /^Expected ground-truth labels from 0 to 1 but received 2 in image x.jpg$/,
    );
    expect(add(empty, { boxes: [0, 0, 1, 1], labels: [0], scores: [Number.NaN] })).toThrow(
      "Expected a finite score for detection 0 of image x.jpg",
    );
    expect(add(empty, { boxes: [0, 0, Number.NaN, 1], labels: [0], scores: [1] })).toThrow(
      "finite coordinates for detection 0 of image x.jpg",
    );
    const twice = evaluator();
    twice.addImage({ id: 1, gt: empty, detections: empty });
    expect(() => twice.addImage({ id: 1, gt: empty, detections: empty })).toThrow("image 1 was added twice");
    expect(() => new CocoEvaluator({ classNames: ["a"], maxDets: [1, 0] })).toThrow(
      "positive integers for maxDets but received [1, 0]",
    );
  });

  const annotations = {
    images: [{ id: 1 }, { id: 2 }],
    categories: [{ id: 3, name: "bird" }],
    annotations: [{ id: 9, image_id: 1, category_id: 3, bbox: [0, 0, 5, 5], area: 25, iscrowd: 0 }],
  };
  const good = { image_id: 1, category_id: 3, bbox: [0, 0, 5, 5], score: 0.5 };
  const run = (truth: unknown, results: unknown) => () =>
    evaluateFiles(write("bad-annotations.json", truth), write("bad-results.json", results));

  it("in a results file", () => {
    expect(run(annotations, [good])().AP).toBeCloseTo(1, 12);
    expect(run(annotations, [])().AP).toBe(0);
    expect(run(annotations, [good, { ...good, image_id: 7 }])).toThrow(
      /known image_id for result 1 in .*bad-results\.json but received 7, .* the 2 images/,
    );
    expect(run(annotations, [{ ...good, category_id: 0 }])).toThrow(/known category_id for result 0 .* received 0/);
    expect(run(annotations, [{ ...good, bbox: [1, 2, 3] }])).toThrow(
      /four finite numbers .* bbox of result 0 .* received \[1,2,3\]/,
    );
    expect(run(annotations, [{ ...good, score: "high" }])).toThrow(
      /finite number for the score of result 0 .* received "high"/,
    );
    expect(run(annotations, { results: [] })).toThrow(
      /Expected a list in .* received an object: it may be a file of annotations/,
    );
    expect(run(annotations, JSON.stringify([good]).slice(0, 40))).toThrow(
      /Expected JSON in .*bad-results\.json but it ends in the middle, at line 1, column 41/,
    );
    const large = (value: unknown): string =>
      JSON.stringify(value).replace(/("(image_)?id":)1\b/g, "$19007199254740993");
    expect(run(large(annotations), [good])).toThrow(
      /at most 9007199254740991 in .*bad-annotations\.json but received 9007199254740993 \(entry 0 of "images"\)/,
    );
    expect(run(annotations, large([good]))).toThrow(/bad-results\.json but received 9007199254740993 \(entry 0\)/);
    expect(run(annotations, "")).toThrow(/the file is empty/);
    expect(() => evaluateFiles(write("a.json", annotations), join(folder, "missing.json"))).toThrow(
      expect.objectContaining({ code: "ERR_EVAL_FILE", message: expect.stringContaining("missing.json") }),
    );
  });

  it("but not ids and crowds that are written as text, a byte order mark or UTF-16", () => {
    const [first] = annotations.annotations;
    const asText = {
      images: [{ id: "1" }, { id: 2 }],
      categories: [{ id: "3", name: "bird" }],
      annotations: [
        { ...first, image_id: "1", category_id: "3", area: null },
        { ...first, id: 10, image_id: 2, iscrowd: "1" },
        { ...first, id: 11, image_id: 2, bbox: [10, 10, 5, 5], iscrowd: "0" },
      ],
    };
    const results = [
      good,
      { ...good, image_id: "2", category_id: "3" },
      { ...good, image_id: 2, bbox: [10, 10, 5, 5] },
    ];
    const asNumbers = JSON.parse(JSON.stringify(asText).replaceAll(/"(\d+)"/g, "$1"));
    expect(run(asNumbers, results)().AP).toBeCloseTo(1, 12);
    expect(run(asText, results)()).toEqual(run(asNumbers, results)());
    expect(
      run({ ...asText, annotations: [asText.annotations[0], { ...asText.annotations[1], iscrowd: true }] }, results)(),
    ).toEqual(run({ ...asNumbers, annotations: asNumbers.annotations.slice(0, 2) }, results)());
    writeFileSync(join(folder, "utf16.json"), `\ufeff${JSON.stringify(asText)}`, "utf16le");
    expect(
      evaluateFiles(join(folder, "utf16.json"), write("results.json", `\ufeff${JSON.stringify(results)}`)).AP,
    ).toBeCloseTo(1, 12);
  });

  it("but not a box that is missing beside an outline", () => {
    const [{ bbox: _, ...first }] = annotations.annotations;
    const outlined = { ...first, segmentation: [[0, 0, 5, 0, 5, 5]] };
    for (const box of [{}, { bbox: [] }, { bbox: null }])
      expect(run({ ...annotations, annotations: [{ ...outlined, ...box }] }, [good])().AP).toBeCloseTo(1, 12);
  });

  it("in an annotation file", () => {
    expect(run([], [])).toThrow(
      /object with images, categories and annotations .* received a list: it may be a file of results/,
    );
    expect(run({ ...annotations, images: undefined }, [])).toThrow(/Expected a list "images" in .* but it has none/);
    expect(run({ ...annotations, images: [{ id: 1 }, { id: 1 }] }, [])).toThrow(/1 occurs twice/);
    expect(
      run({ ...annotations, annotations: [{ id: 9, image_id: 5, category_id: 3, bbox: [0, 0, 1, 1] }] }, []),
    ).toThrow(/image_id for annotation 9 .* received 5/);
    expect(run({ ...annotations, annotations: [{ id: 9, image_id: 1, category_id: 3, bbox: null }] }, [])).toThrow(
      /bbox of annotation 9 .* received null/,
    );
    const [first] = annotations.annotations;
    for (const area of ["big", -5, "Infinity"])
      expect(
        run(
          JSON.stringify({ ...annotations, annotations: [{ ...first, area }] }).replace('"Infinity"', "Infinity"),
          [],
        ),
      ).toThrow(
        /number from 0 for the area of annotation 9 .* received ("big"|-5|Infinity): correct it, or leave it out/,
      );
    expect(run({ ...annotations, annotations: [{ ...first, iscrowd: "maybe" }] }, [])).toThrow(
      /iscrowd of annotation 9/,
    );
  });
});
