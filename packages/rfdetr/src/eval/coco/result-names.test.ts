import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { cocoResults, type FilePrediction } from "../../predict/outputs/result-formats.js";
import type { CocoSummary } from "./coco.js";
import { evaluateFiles } from "./coco-files.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "result-names-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const classNames = ["circle", "square", "star"];
const files = ["valid-00000.jpg", "valid-00001.jpg", "valid-00002.jpg"];

/** Numbered as the drawn data are: images from 0, categories from 1. Every image has an object of its own class. */
const annotations = {
  images: files.map((file_name, id) => ({ id, file_name, width: 64, height: 64 })),
  categories: classNames.map((name, i) => ({ id: i + 1, name })),
  annotations: files.map((_, i) => ({ id: i, image_id: i, category_id: i + 1, bbox: [i, i, 20, 20] })),
};

/** What the command writes of a model that finds everything. */
const predicted = (wanted: readonly number[], name = (file: string) => `data/valid/${file}`): FilePrediction[] =>
  wanted.map((i) => ({
    file: name(files[i]),
    width: 64,
    height: 64,
    detections: [{ box: [i, i, i + 20, i + 20], score: 0.9, classId: i, className: classNames[i] }],
  }));

function score(truth: object, results: object, warn?: (message: string) => void): CocoSummary {
  const paths = [join(folder, "annotations.json"), join(folder, "results.json")] as const;
  writeFileSync(paths[0], JSON.stringify(truth));
  writeFileSync(paths[1], JSON.stringify(results));
  return evaluateFiles(...paths, warn === undefined ? {} : { warn });
}

it("scores what the command writes by its names, whatever the annotation file numbers", () => {
  const { AP, per_class } = score(annotations, cocoResults(predicted([0, 1, 2])));
  expect(AP).toBeCloseTo(1, 12);
  expect(per_class.map(({ AP }) => AP)).toEqual([1, 1, 1].map((one) => expect.closeTo(one, 12)));
});

it("does not shift the classes where the first is never found, and says that the ids are others", () => {
  const said: string[] = [];
  const { per_class } = score(annotations, cocoResults(predicted([1, 2])), (message) => said.push(message));
  expect(per_class.map(({ AP }) => AP)).toEqual([0, expect.closeTo(1, 12), expect.closeTo(1, 12)]);
  expect(said).toEqual([
    expect.stringMatching(/^2 results of .*results\.json belong to the file_name and category_name/),
  ]);
});

it("speaks of a single result in the singular", () => {
  const said: string[] = [];
  score(annotations, cocoResults(predicted([1])), (message) => said.push(message));
  expect(said).toEqual([
    expect.stringMatching(
      /^1 result of .* belongs to the file_name and category_name that it has, as scored here; its .* scores it wrongly$/,
    ),
  ]);
});

it("does not shift images whose names are numbers", () => {
  const numbered = {
    ...annotations,
    images: annotations.images.map((image) => ({ ...image, file_name: `${image.id + 1}.jpg` })),
  };
  const results = predicted([0, 1]).map((image, i) => ({ ...image, file: `data/${i + 1}.jpg` }));
  const { per_class } = score(numbered, cocoResults(results));
  expect(per_class.map(({ AP }) => AP)).toEqual([expect.closeTo(1, 12), expect.closeTo(1, 12), 0]);
});

it("passes over results of no class, unless a category is called so", () => {
  const [first, second] = cocoResults(predicted([0, 1]));
  const none = { ...second, category_id: 3, category_name: "__background__" };
  const said: string[] = [];
  const { per_class } = score(annotations, [first, none], (message) => said.push(message));
  expect(per_class.map(({ AP }) => AP)).toEqual([expect.closeTo(1, 12), 0, 0]);
  expect(said[0]).toMatch(/^1 result of .*results\.json is of __background__, which is no category of .*: passed over/);
  const categories = annotations.categories.map((one) => (one.id === 2 ? { ...one, name: "__background__" } : one));
  expect(score({ ...annotations, categories }, [none]).per_class[1].AP).toBeCloseTo(1, 12);
});

it("finds images by the end of their path", () => {
  const below = (place: string) => ({
    ...annotations,
    images: annotations.images.map((image) => ({ ...image, file_name: `${place}${image.file_name}` })),
  });
  const results = cocoResults(predicted([0, 1, 2]));
  for (const place of ["images/", "./", "a\\b\\"]) expect(score(below(place), results).AP).toBeCloseTo(1, 12);
  const deep = cocoResults([...predicted([0, 1, 2]), { file: "data/x.jpg", width: 1, height: 1, detections: [] }]);
  expect(deep[0]).toMatchObject({ file_name: "valid/valid-00000.jpg" });
  expect(score(annotations, deep).AP).toBeCloseTo(1, 12);
});

it("refuses names that the annotation file has not, or more than once", () => {
  const [first, second] = cocoResults(predicted([0, 1]));
  expect(() => score(annotations, [{ ...first, image_id: 0, file_name: "train-00000.jpg" }])).toThrow(
    /known file_name for result 0 in .* received "train-00000.jpg", which is no image of the annotation file; .* remove/,
  );
  expect(() => score(annotations, [first, { ...second, category_name: "heart" }])).toThrow(
    /known category_name for result 1 in .* received "heart", which is no category of the annotation file/,
  );
  const images = annotations.images.map((image) => ({ ...image, file_name: `${image.id}/0.jpg` }));
  expect(() => score({ ...annotations, images }, [{ ...first, file_name: "0.jpg" }])).toThrow(
    /received "0.jpg", which could be more than one image there/,
  );
  const both = ["train", "valid"].map((split) => ({ ...first, file_name: `${split}/${files[0]}` }));
  expect(() => score(annotations, both)).toThrow(
    /received both train\/valid-00000\.jpg and valid\/valid-00000\.jpg, .*: predict the images of the annotation file only/,
  );
});

it("takes, of categories with one name, the only one with annotations", () => {
  const group = { id: 0, name: "circle" };
  const { per_class } = score(
    { ...annotations, categories: [group, ...annotations.categories] },
    cocoResults(predicted([0])),
  );
  expect(per_class.map(({ AP }) => AP)).toEqual([null, expect.closeTo(1, 12), 0, 0]);
  const used = { id: 9, image_id: 0, category_id: 0, bbox: [0, 0, 5, 5] };
  const twins = {
    ...annotations,
    categories: [group, ...annotations.categories],
    annotations: [...annotations.annotations, used],
  };
  expect(() => score(twins, cocoResults(predicted([0])))).toThrow(
    /"circle", which could be more than one category there/,
  );
});

it("goes by the ids of results that lack one of the names", () => {
  const result = { image_id: 1, category_id: 2, bbox: [1, 1, 20, 20], score: 0.9 };
  for (const name of [
    {},
    { category_name: "anything" },
    { file_name: "anything.jpg" },
    { file_name: 1, category_name: 2 },
  ])
    expect(score(annotations, [{ ...result, ...name }]).per_class[1].AP).toBeCloseTo(1, 12);
  expect(() => score(annotations, [{ ...result, category_id: 7 }])).toThrow(
    /must be predictions for the same categories as the annotation file$/,
  );
  expect(() => score(annotations, [{ ...result, image_id: 7 }])).toThrow(/for the same images as the annotation file$/);
});
