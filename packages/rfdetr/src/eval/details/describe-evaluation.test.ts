import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CocoEvaluator } from "../coco/coco.js";
import type { EvaluatedImage } from "../coco/evaluated-image.js";
import { evaluationDetails } from "./describe-evaluation.js";
import { readDetails, writeDetails } from "./details-file.js";
import type { EvaluationDetails } from "./evaluation-details.js";
import { groupScorer } from "./group-figures.js";
import { groupsOf, imageProperties } from "./image-properties.js";

/** Image `id` of a set: bright and dark ones, some objects found, some missed, some detections wrong. */
function image(id: number): EvaluatedImage {
  const at = (x: number, side: number): number[] => [x, 10, x + side, 10 + side];
  const objects = id % 3;
  return {
    id,
    file: `images/${id}.jpg`,
    width: 640,
    height: 320 + id,
    brightness: (id % 10) / 10,
    gt: {
      boxes: Array.from({ length: objects }, (_, i) => at(100 * i, 20 + id)).flat(),
      labels: Array.from({ length: objects }, (_, i) => i),
    },
    detections: {
      boxes: [...at(0, 20 + id), ...at(103, 20 + id), ...at(400, 50)],
      labels: [0, id % 2, 2],
      scores: [0.9 - id / 100, 0.6 + id / 100, 0.01 * (id % 20)],
    },
  };
}

function evaluatorOf(ids: readonly number[]): CocoEvaluator {
  const evaluator = new CocoEvaluator({ classNames: ["cat", "dog", "absent"], categoryIds: [3, 5, 9] });
  for (const id of ids) evaluator.addImage(image(id));
  return evaluator;
}

const ids = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

describe("the details of an evaluation", () => {
  const evaluator = evaluatorOf(ids(60));
  const details = evaluationDetails(evaluator, { split: "valid", epoch: 3 });

  it("counts confusions from the best threshold on, but on the test split, and where none helps", () => {
    const evaluator = evaluatorOf([1, 2, 3, 4, 5, 6]);
    const { best_threshold: best, confusion } = evaluationDetails(evaluator, { split: "valid" });
    expect(best.threshold).not.toBe(0.25);
    expect(confusion.confidence).toBe(best.threshold);
    expect(evaluationDetails(evaluator, { split: "test" }).confusion.confidence).toBe(0.25);
    expect(evaluationDetails(new CocoEvaluator({ classNames: ["cat"] })).confusion.confidence).toBe(0.25);
  });

  it("hold the figures of COCO as they are", () => {
    const { per_class, ...figures } = evaluator.summarize();
    expect(details).toMatchObject(figures);
    expect(details.per_class.map(({ best, errors, ...figure }) => figure)).toEqual(per_class);
    expect(details.sizes.map(({ AP }) => AP)).toEqual([figures.AP_small, figures.AP_medium, figures.AP_large]);
    expect(details.sizes.reduce((sum, { instances }) => sum + instances, 0)).toBe(figures.instances);
  });

  it("have a best threshold for each class with ground truth, that of highest F1 on its curve", () => {
    const [cat, , absent] = details.per_class;
    const { precision, recall } = details.curves.classes[0];
    const f1 = precision.map((p, i) => (p + recall[i] === 0 ? 0 : (2 * p * recall[i]) / (p + recall[i])));
    expect(cat.best?.f1).toBeCloseTo(Math.max(...f1), 3);
    expect(details.curves.points[f1.indexOf(Math.max(...f1))]).toBe(cat.best?.threshold);
    expect(String(cat.best?.threshold)).toMatch(/^0(\.\d\d?)?$/);
    expect(String(details.best_threshold.threshold)).toMatch(/^0(\.\d\d?)?$/);
    expect(absent).toMatchObject({ AP: null, best: null });
    expect(details.curves.classes.map(({ label }) => label)).toEqual([0, 1]);
    expect(details.curves.points).toHaveLength(101);
  });

  it("keep the worst images of each kind of error, ranked, and some ordinary ones", () => {
    const shown = details.images_shown;
    const worst = shown.flatMap(({ id, worst }) => worst.map((each) => ({ id, ...each })));
    const background = worst.filter(({ kind }) => kind === "background").sort((a, b) => a.rank - b.rank);
    // The detection at 400 is the only one of the class without ground truth.
    const score = (id: number | string): number => 0.01 * ((id as number) % 20);
    expect(background.map(({ rank }) => rank)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    for (const { id } of background)
      expect(shown.find((each) => each.id === id)?.detections.some(({ state }) => state === "background")).toBe(true);
    expect(shown.filter(({ worst: kinds }) => kinds.length === 0).length).toBeGreaterThan(7);
    for (const { id, detections } of shown.filter((each) => each.worst.length === 0))
      expect(detections.every((each) => each.label !== 2 || score(id) >= 0.05)).toBe(true);
  });

  it("say what each box shown is, and which object it is about", () => {
    const { truths, detections, file } = details.images_shown.find(
      (each) => each.truths.length === 2,
    ) as EvaluationDetails["images_shown"][0];
    expect(file).toMatch(/^images\/\d+\.jpg$/);
    expect(truths.map(({ state }) => state)).toContain("found");
    expect(detections.find(({ state }) => state === "correct")).toMatchObject({ label: 0, truth: 0 });
    for (const { state, truth } of detections) expect(truth === null).toBe(state === "background");
  });

  it("are the same whatever the order of images", () => {
    const { images_shown: shown, ...other } = evaluationDetails(evaluatorOf(ids(60).reverse()), {
      split: "valid",
      epoch: 3,
    });
    const { images_shown: before, ...same } = details;
    expect(other).toEqual(same);
    expect(shown.flatMap(({ worst }) => worst).length).toBe(before.flatMap(({ worst }) => worst).length);
  });

  it("give the figures of each of several datasets, as if it had been evaluated alone", () => {
    const joined = new CocoEvaluator({ classNames: ["cat", "dog", "absent"], categoryIds: [3, 5, 9] });
    for (const id of ids(60)) joined.addImage({ ...image(id), dataset: id <= 20 ? "pond" : "wood" });
    const { datasets } = evaluationDetails(joined);
    const alone = [evaluatorOf(ids(20)), evaluatorOf(ids(60).slice(20))].map((each) => each.summarize());
    expect(datasets).toEqual(
      alone.map(({ images, instances, AP, AP50 }, i) => ({ path: ["pond", "wood"][i], images, instances, AP, AP50 })),
    );
    expect(details.datasets).toBeUndefined();
  });

  it("exist without images, and without ground truth", () => {
    const nothing = evaluationDetails(new CocoEvaluator({ classNames: ["a"] }));
    expect(nothing).toMatchObject({
      AP: null,
      properties: [],
      images_shown: [],
      errors: { AP50: null, costliest: null },
    });
    expect(JSON.stringify(nothing)).not.toContain("NaN");
  });

  it("stay small on disk with 365 classes and 5,000 images", () => {
    const many = new CocoEvaluator({ classNames: Array.from({ length: 365 }, (_, label) => `class ${label}`) });
    for (let id = 0; id < 5000; id++) {
      const boxes = Array.from({ length: 8 }, (_, i) => [
        80 * i + 0.3,
        id % 300,
        80 * i + 60.7,
        (id % 300) + 70.1,
      ]).flat();
      const labels = Array.from({ length: 8 }, (_, i) => (id * 8 + i) % 365);
      const scores = labels.map((_, i) => ((id * 13 + i * 7) % 97) / 97);
      const shifted = labels.map((label, i) => (i % 3 === 0 ? (label + 1) % 365 : label));
      many.addImage({ id, file: `${id}.jpg`, gt: { boxes, labels }, detections: { boxes, labels: shifted, scores } });
    }
    const folder = mkdtempSync(join(tmpdir(), "details-"));
    const path = join(folder, "evaluation.json");
    writeDetails(path, evaluationDetails(many));
    expect(readDetails(path).per_class).toHaveLength(365);
    expect(statSync(path).size).toBeLessThan(1.5e6);
    rmSync(folder, { recursive: true });
  });
});

describe("AP by properties of images", () => {
  it("is that of the images of a group alone", () => {
    const score = groupScorer(evaluatorOf(ids(40)));
    const some = ids(40).filter((id) => id % 3 === 1);
    const { AP, AP50, instances } = evaluatorOf(some).summarize();
    expect(score((at) => at % 3 === 0)).toEqual({ AP, AP50, instances });
  });

  it("knows size, aspect, objects, crowding and brightness", () => {
    const evaluator = new CocoEvaluator({ classNames: ["a", "b"] });
    const none = { boxes: [], labels: [], scores: [] };
    evaluator.addImage({
      id: 1,
      width: 400,
      height: 100,
      brightness: 0.25,
      gt: {
        boxes: [0, 0, 10, 10, 0, 0, 10, 5, 50, 50, 60, 60, 0, 0, 99, 99],
        labels: [0, 1, 0, 0],
        crowd: [0, 0, 0, 1],
      },
      detections: none,
    });
    evaluator.addImage({ id: 2, gt: { boxes: [], labels: [] }, detections: none });
    expect(imageProperties(evaluator)).toEqual({
      image_size: [200, null],
      aspect: [4, null],
      objects: [3, 0],
      crowding: [(0.5 + 0.5 + 0) / 3, 0],
      brightness: [0.25, null],
    });
  });

  it("has up to three groups of about as many images, and keeps equal values together", () => {
    const sizes = (values: number[]) => groupsOf(values).map(({ from, to, images }) => [from, to, images]);
    expect(sizes([6, 1, 2, 3, 4, 5])).toEqual([
      [1, 2, 2],
      [3, 4, 2],
      [5, 6, 2],
    ]);
    expect(sizes([1, 1, 1, 1, 2, 3])).toEqual([
      [1, 1, 4],
      [2, 3, 2],
    ]);
    expect(sizes([0, 1, 1, 1, 1, 1])).toEqual([
      [0, 0, 1],
      [1, 1, 5],
    ]);
    expect(sizes([7, 7, 7])).toEqual([[7, 7, 3]]);
  });

  it("leaves out what is the same for all images or not known of all, and small sets", () => {
    const properties = (evaluator: CocoEvaluator) =>
      evaluationDetails(evaluator).properties.map(({ property }) => property);
    expect(properties(evaluatorOf(ids(60)))).toEqual(["image_size", "aspect", "objects", "brightness"]);
    expect(properties(evaluatorOf(ids(14)))).toEqual([]);
  });
});
