import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeMask, fromCocoRuns, type Mask } from "../../masks/index.js";
import { EvaluationError } from "../../support/errors.js";
import { CocoEvaluator, type CocoSummary } from "./coco.js";
import { evaluateFiles } from "./coco-files.js";
import { type CocoFigures, stockFigures } from "./coco-summary.js";
import { compareMasks } from "./compare-masks.js";
import type { EvaluatedImage } from "./evaluated-image.js";

interface Entry {
  image_id: number;
  category_id: number;
  bbox: number[];
  segmentation: object;
}
interface Expected {
  stats: Record<string, number>;
  per_class: { class_id: number; AP: number; AP50: number; AP75: number; AR: number }[];
}
interface Golden {
  name: string;
  annotations: {
    images: { id: number }[];
    categories: { id: number; name: string }[];
    annotations: (Entry & { area: number; iscrowd: number })[];
  };
  results: (Entry & { score: number })[];
  max_dets: number[];
  expected: Expected;
  expected_masks: Expected;
}

const goldens: Golden[] = JSON.parse(readFileSync(new URL("./fixtures/coco-masks.json", import.meta.url), "utf8"));

const corners = (entries: readonly Entry[]): number[] =>
  entries.flatMap(({ bbox: [x, y, w, h] }) => [x, y, x + w, y + h]);
const maskOf = ({ segmentation }: Entry): Mask => fromCocoRuns(segmentation) as Mask;

function imagesOf({ annotations, results }: Golden): EvaluatedImage[] {
  const labelOf = ({ category_id: id }: Entry): number => annotations.categories.findIndex((each) => each.id === id);
  return annotations.images.map(({ id }) => {
    const truths = annotations.annotations.filter((each) => each.image_id === id);
    const found = results.filter((each) => each.image_id === id);
    return {
      id,
      gt: {
        boxes: corners(truths),
        labels: truths.map(labelOf),
        area: truths.map(({ area }) => area),
        crowd: truths.map(({ iscrowd }) => iscrowd),
        masks: truths.map(maskOf),
      },
      detections: {
        boxes: corners(found),
        labels: found.map(labelOf),
        scores: found.map(({ score }) => score),
        masks: found.map(maskOf),
      },
    };
  });
}

function summaryOf(images: readonly EvaluatedImage[], golden: Golden): CocoSummary {
  const { categories } = golden.annotations;
  const evaluator = new CocoEvaluator({
    classNames: categories.map(({ name }) => name),
    categoryIds: categories.map(({ id }) => id),
    maxDets: golden.max_dets,
  });
  for (const image of images) evaluator.addImage(image);
  return evaluator.summarize();
}

function expectFigures(summary: CocoSummary, golden: Golden): void {
  const stock = stockFigures(summary) as unknown as CocoSummary;
  const pairs: [CocoFigures, Expected][] = [
    [stock, golden.expected],
    [stock.masks as CocoFigures, golden.expected_masks],
  ];
  for (const [found, expected] of pairs) {
    for (const [key, value] of Object.entries(expected.stats))
      expect(Math.abs((found[key as "AP"] as number) - value), key).toBeLessThan(1e-12);
    for (const { class_id: id, ...figures } of expected.per_class) {
      const own = found.per_class.find((each) => each.class_id === id);
      for (const [key, value] of Object.entries(figures))
        expect(Math.abs((own?.[key as "AP"] as number) - value), `${key} of class ${id}`).toBeLessThan(1e-12);
    }
  }
}

describe("COCO mean average precision of masks equals pycocotools", () => {
  for (const golden of goldens.filter(({ name }) => name !== "polygons"))
    it(golden.name, () => {
      expectFigures(summaryOf(imagesOf(golden), golden), golden);
    });
});

describe("COCO files with masks", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "coco-masks-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const score = (annotations: unknown, results: unknown, maxDets?: number[]): CocoSummary => {
    const [truthFile, resultFile] = [join(folder, "annotations.json"), join(folder, "results.json")];
    writeFileSync(truthFile, JSON.stringify(annotations));
    writeFileSync(resultFile, JSON.stringify(results));
    return evaluateFiles(truthFile, resultFile, maxDets === undefined ? {} : { maxDets });
  };

  for (const golden of goldens)
    it(`score as pycocotools does: ${golden.name}`, () => {
      const summary = score(golden.annotations, golden.results, golden.max_dets);
      expectFigures(summary, golden);
      // The boxes of results may be left out, as pycocotools has it for masks.
      const withoutBoxes = golden.results.map(({ bbox, ...result }) => result);
      expect(score(golden.annotations, withoutBoxes, golden.max_dets).masks).toEqual(summary.masks);
    });

  it("are scored by boxes alone where the results have no masks", () => {
    const [{ annotations, results }] = goldens;
    const withoutMasks = results.map(({ segmentation, ...result }) => result);
    const { masks, ...boxes } = score(annotations, results);
    expect(score(annotations, withoutMasks)).toEqual(boxes);
    expect(masks).toBeDefined();
  });

  const square = { size: [8, 8], counts: [0, 32, 32] };
  const annotation = { id: 9, image_id: 1, category_id: 3, bbox: [0, 0, 4, 8], segmentation: square };
  const result = { image_id: 1, category_id: 3, score: 0.5, segmentation: square };
  const truth = (change: object, image: object = { width: 8, height: 8 }): object => ({
    images: [{ id: 1, ...image }],
    categories: [{ id: 3, name: "bird" }],
    annotations: [{ ...annotation, ...change }],
  });

  it("take the area of the mask where an annotation states none, and polygons of no extent as nothing", () => {
    expect(score(truth({}), [result])).toMatchObject({
      AP: expect.closeTo(1, 12),
      masks: { AP: expect.closeTo(1, 12), AP_small: expect.closeTo(1, 12) },
    });
    expect(score(truth({ segmentation: [[1, 1, 1, 1, 1, 1]] }), [result]).masks?.AP).toBe(0);
  });

  it("name the entry at fault", () => {
    const refused = (annotations: unknown, results: unknown): string => {
      try {
        score(annotations, results);
      } catch (error) {
        expect(error).toBeInstanceOf(EvaluationError);
        return (error as Error).message.replaceAll(`${folder}/`, "");
      }
      throw new Error("Expected an error");
    };
    expect(refused(truth({}), [result, { ...result, segmentation: undefined, bbox: [0, 0, 1, 1] }])).toBe(
      "Expected a segmentation for result 1 in results.json, as others have one, but it has none",
    );
    expect(refused(truth({}), [{ ...result, segmentation: { size: [8, 8], counts: [1] } }])).toBe(
      'Expected {"size": [height, width], "counts"} that fill the image for the segmentation of result 0 in results.json but received {"size":[8,8],"counts":[1]}',
    );
    expect(refused(truth({}), [{ ...result, segmentation: [[1, 1, 5, 1, 5, 5]] }])).toContain(
      "for the segmentation of result 0 in results.json but received [[1,1,5,1,5,5]]",
    );
    expect(refused(truth({}), [{ ...result, segmentation: { size: [4, 4], counts: [16] } }])).toBe(
      "Expected a mask of 8 × 8, the size of the image, for result 0 in results.json but received 4 × 4",
    );
    for (const segmentation of [undefined, null, []])
      expect(refused(truth({ segmentation }), [result])).toBe(
        "Expected a segmentation for annotation 9 in annotations.json, since the results have masks, but it has none",
      );
    expect(refused(truth({ segmentation: [[1, 2, 3, 4, 5, "6"]] }), [result])).toBe(
      "Expected polygons for the segmentation of annotation 9 in annotations.json: polygon 0 is no list of pairs of numbers",
    );
    expect(refused(truth({ segmentation: "skipped" }), [result])).toContain(
      'for the segmentation of annotation 9 in annotations.json but received "skipped"',
    );
    expect(refused(truth({}, {}), [result])).toBe(
      "Expected width and height in pixels for the image of annotation 9 in annotations.json, since the results have masks, but it has none",
    );
  });
});

describe("the figures of masks", () => {
  const [golden] = goldens;
  const images = imagesOf(golden);

  it("leave those of boxes as they are without masks", () => {
    const { masks, ...boxes } = summaryOf(images, golden);
    const without = images.map(({ id, gt, detections }) => ({
      id,
      gt: { ...gt, masks: undefined },
      detections: { ...detections, masks: undefined },
    }));
    expect(summaryOf(without, golden)).toEqual(boxes);
    expect(masks?.AP).not.toBe(boxes.AP);
  });

  it("are the same of masks that were compared before", () => {
    const compared = images.map((image) => ({
      id: image.id,
      gt: { ...image.gt, masks: undefined },
      detections: { ...image.detections, masks: undefined },
      compared: compareMasks(image) ?? undefined,
    }));
    expect(summaryOf(compared, golden)).toEqual(summaryOf(images, golden));
  });

  const square = (from: number, to: number): Mask =>
    encodeMask(
      Uint8Array.from({ length: 400 }, (_, i) => (i >= from * 20 && i < to * 20 ? 1 : 0)),
      20,
      20,
    );
  const scene = (gt: Partial<EvaluatedImage["gt"]>, found: Partial<EvaluatedImage["detections"]>): EvaluatedImage => ({
    id: 1,
    gt: { boxes: [0, 0, 20, 10], labels: [0], ...gt },
    detections: { boxes: [0, 0, 20, 10], labels: [0], scores: [0.9], ...found },
  });
  const score = (...scenes: EvaluatedImage[]): CocoSummary => {
    const evaluator = new CocoEvaluator({ classNames: ["a"] });
    for (const [id, each] of scenes.entries()) evaluator.addImage({ ...each, id });
    return evaluator.summarize();
  };

  it("depend on the masks alone, not on the boxes", () => {
    const one = scene({ masks: [square(0, 10)] }, { masks: [square(10, 20)] });
    expect(score(one)).toMatchObject({ AP: expect.closeTo(1, 12), masks: { AP: 0, AR100: 0 } });
    const other = scene({ masks: [square(0, 10)] }, { masks: [square(0, 9)], boxes: [15, 15, 20, 20] });
    expect(score(other)).toMatchObject({ AP: 0, masks: { AP50: expect.closeTo(1, 12), AR100: 0.9 } });
  });

  it("take the area of the mask where ground truth states none", () => {
    const small = scene({ masks: [square(0, 10)], boxes: [0, 0, 40, 40] }, { masks: [square(0, 10)] });
    expect(score(small).masks).toMatchObject({ AP_small: expect.closeTo(1, 12), AP_medium: null });
    expect(score(scene({ ...small.gt, area: [1600] }, small.detections)).masks).toMatchObject({ AP_small: null });
  });

  it("are defined by ground truth alone: 0 where nothing was found, null where there is nothing", () => {
    const nothing = { boxes: [], labels: [], scores: [] };
    expect(score(scene({ masks: [square(0, 10)] }, { ...nothing, masks: [] })).masks?.AP).toBe(0);
    expect(score({ id: 1, gt: nothing, detections: { ...nothing, masks: [] } }).masks?.AP).toBe(null);
    expect(score({ id: 1, gt: nothing, detections: nothing }).masks).toBe(undefined);
  });

  it("are refused where only some objects have masks, or masks of another size", () => {
    expect(() => score(scene({ masks: [square(0, 1)] }, {}))).toThrow(
      /^Expected 1 entries for detections.masks of image 0 but received 0$/,
    );
    const whole = scene({ masks: [square(0, 1)] }, { masks: [square(0, 1)] });
    for (const scenes of [
      [whole, scene({}, {})],
      [scene({}, {}), whole],
    ])
      expect(() => score(...scenes)).toThrow("Expected masks for the objects of every image or of none");
    expect(() => score(scene({ masks: [square(0, 1)] }, { masks: [encodeMask([1], 1, 1)] }))).toThrow(
      /^Expected masks of one size in image 0 but received 20 × 20 and 1 × 1$/,
    );
  });
});
