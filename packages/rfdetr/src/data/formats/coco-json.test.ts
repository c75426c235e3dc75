import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { type CocoJson, isCrowd, readCocoJson, readJsonList } from "./coco-json.js";

const folder = mkdtempSync(join(tmpdir(), "coco-json-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "file.json");
const put = (content: string | Uint8Array): string => {
  writeFileSync(path, content);
  return path;
};
const read = (content: string | Uint8Array): CocoJson => readCocoJson(put(content));
const box = [1, 2, 3, 4];

describe("an annotation file", () => {
  it("is its three lists as they stand, and the rest", () => {
    const content = {
      info: { year: 2017 },
      images: [{ id: 1, file_name: "a.jpg" }, null],
      annotations: [{ id: 1, bbox: box, area: "big" }, 7, []],
      categories: [{ id: "1", name: "größe" }],
      licenses: [],
    };
    const { info, licenses, ...lists } = content;
    expect(read(JSON.stringify(content, null, 1))).toEqual({ ...lists, rest: { info, licenses }, problems: [] });
  });

  it("has the same entries however it is cut into pieces", () => {
    const entry = fc.oneof(
      fc.jsonValue(),
      fc.record({ bbox: fc.constant(box), id: fc.nat(), name: fc.string({ unit: "grapheme" }) }),
    );
    const lists = fc.record({ images: fc.array(entry), annotations: fc.array(entry), categories: fc.array(entry) });
    fc.assert(
      fc.property(
        lists,
        fc.jsonValue(),
        fc.constantFrom(0, 2),
        fc.integer({ min: 4, max: 70 }),
        (value, info, indent, pieceBytes) => {
          const text = JSON.stringify({ info, ...value }, null, indent);
          const expected = JSON.parse(text);
          const { rest, problems, ...found } = readCocoJson(put(text), { segmentations: true, pieceBytes });
          expect({ ...found, info: rest.info }).toEqual(expected);
          expect(problems).toEqual([]);
        },
      ),
    );
  });

  it("is refused where an id is a number that others would be rounded to, by its digits", () => {
    const large = "9007199254740993";
    const text = (field: string, list: string): string =>
      `{"images":[],"categories":[],"annotations":[],"${list}":[{"id":1},{"bbox":[1,2,3,4],"${field}" : ${large}}]}`;
    for (const [field, list] of [
      ["id", "images"],
      ["id", "categories"],
      ["id", "annotations"],
      ["image_id", "annotations"],
      ["category_id", "annotations"],
    ])
      for (const segmentations of [true, false])
        expect(() => readCocoJson(put(text(field, list)), { segmentations })).toThrow(
          `Expected ids of at most 9007199254740991 in ${path} but received ${large} (entry 1 of "${list}"): others`,
        );
    expect(() => readJsonList(put(`[{"image_id":-${large}}]`))).toThrow(`received -${large} (entry 0): others`);
    expect(readJsonList(put('[{"image_id":9007199254740991,"score":1e300}]'))).toHaveLength(1);
    expect(read(`{"images":[{"id":"${large}"}],"categories":[],"annotations":[]}`).images).toEqual([{ id: large }]);
  });

  it("is read with a byte order mark, and as UTF-16", () => {
    const text = '{"images":[{"file_name":"ø.jpg"}],"annotations":[],"categories":[]}';
    const expected = [{ file_name: "ø.jpg" }];
    expect(read(`\ufeff${text}`).images).toEqual(expected);
    const little = Buffer.from(`\ufeff${text}`, "utf16le");
    expect(read(little).images).toEqual(expected);
    expect(readCocoJson(put(little), { pieceBytes: 5 }).images).toEqual(expected);
    expect(read(Buffer.from(little).swap16()).images).toEqual(expected);
    expect(read(Buffer.from(text, "latin1")).problems).toEqual([expect.stringContaining("Expected UTF-8 in")]);
  });

  it("may hold NaN and infinities as Python writes them", () => {
    const { annotations } = read(
      '{"images":[],"categories":[],"annotations":[{"bbox":[NaN,-Infinity,1,2],"area":Infinity,"note":"NaN \\"Infinity"}]}',
    );
    const infinite = Number.POSITIVE_INFINITY;
    expect(annotations).toEqual([{ bbox: [Number.NaN, -infinite, 1, 2], area: infinite, note: 'NaN "Infinity' }]);
  });

  it("tells of lists that are missing, of another kind or there twice", () => {
    const { images, annotations, problems } = read('{"images":[1],"images":[2],"annotations":{"1":{}},"__proto__":1}');
    expect([images, annotations]).toEqual([[2], []]);
    expect(problems).toEqual([
      `"images" is twice in ${path}: the last one counts`,
      `Expected a list "annotations" in ${path} but received object`,
      `Expected a list "categories" in ${path} but it has none`,
    ]);
  });
});

describe("outlines", () => {
  const polygon = [[1, 2, 3, 4, 5, 6]];
  const annotations = [
    { segmentation: polygon, bbox: box },
    { bbox: box, segmentation: { size: [9, 9], counts: 'a]}"' }, keywords: ["segmentation", { segmentation: 1 }] },
    { segmentation: polygon },
    { segmentation: polygon, bbox: [1, 2, 0, 0] },
    { segmentation: polygon, bbox: "text" },
    { name: "segmentation", bbox: box },
  ];
  const text = JSON.stringify({ images: [], annotations, categories: [] });

  it("are left out where there is a box, and kept where they are all there is", () => {
    const [first, second, ...others] = annotations;
    const expected = [{ ...first, segmentation: "skipped" }, { ...second, segmentation: "skipped" }, ...others];
    expect(read(text).annotations).toEqual(expected);
    expect(read(text.replaceAll('"segmentation":', '"\\u0073egmentation" :\n')).annotations).toEqual(expected);
  });

  it("are there when they are wanted", () => {
    expect(readCocoJson(put(text), { segmentations: true }).annotations).toEqual(annotations);
  });
});

describe("a file that is not JSON", () => {
  const lists = (annotations: string, end = "}"): string => `{"images": [],\n "annotations": [${annotations}]${end}`;

  it.each([
    ["", "file.json but the file is empty"],
    ["[]", "but received a list: it may be a file of results"],
    [lists('{"id": 1}', ""), "it ends in the middle, at line 2, column 28: the file was cut off"],
    ['{"images": [{"id": 1}, {"id', "it ends in the middle, at line 1, column 28"],
    ['{"images": [{"id": tru', "it ends in the middle, at line 1, column 23"],
    ['{"images": [1.', "it ends in the middle, at line 1, column 15"],
    ['{"images": [], "info": Na', "it ends in the middle, at line 1, column 26"],
    ['{"images": [tru, 1]', 'line 1, column 13 (entry 0 of "images") has "tru" where a value should be'],
    [
      lists('{"id": 1} {"id": 2}'),
      'line 2, column 28 (entry 1 of "annotations") has "{" where a comma or "]" should be',
    ],
    [lists('{"id": 1},'), 'line 2, column 28 (entry 1 of "annotations") has "]" where a value should be'],
    [
      lists('{"id": 1, bbox: []}'),
      'line 2, column 28 (entry 0 of "annotations") has "bbox" where a name in double quotes',
    ],
    [
      lists('{"bbox": [1, 2}, {"id": 3}'),
      'line 2, column 32 (entry 0 of "annotations") has "}" where a comma or "]" should be',
    ],
    [lists("", ",}"), 'line 2, column 20 has "}" where a name in double quotes should be'],
    [lists("", "} {}"), 'line 2, column 21 has "{" where the end of the file should be'],
    [lists("", ' "info": 1}'), 'line 2, column 20 has "\\"" where a comma or "}" should be'],
    [lists("", ', "info": {"a" 1}}'), 'line 2, column 34 ("info") has "1" where a colon should be'],
  ])("%j is named with the place", (text, message) => {
    for (const pieceBytes of [7, 1000])
      expect(() => readCocoJson(put(text), { pieceBytes })).toThrow(
        expect.objectContaining({ code: "ERR_DATA", message: expect.stringContaining(message) }),
      );
  });

  it("may be a folder, a device or nothing", () => {
    expect(() => readCocoJson(folder)).toThrow("it is a folder");
    expect(() => readCocoJson("/dev/zero")).toThrow("it is a device or a pipe");
    expect(() => readCocoJson(join(folder, "none"))).toThrow("none cannot be read: there is no such file");
  });
});

it("reads a list of results as tolerantly", () => {
  expect(readJsonList(put('\ufeff[{"score": NaN}, 3]'))).toEqual([{ score: Number.NaN }, 3]);
  expect(readJsonList(put(" [ ] "))).toEqual([]);
  expect(() => readJsonList(put("{}"))).toThrow("received an object: it may be a file of annotations");
  expect(() => readJsonList(put("[1 2]"))).toThrow('line 1, column 4 (entry 1) has "2" where a comma or "]" should be');
});

it("knows a crowd as true, 1 and their texts", () => {
  expect([true, 1, "1", "true"].map(isCrowd)).toEqual([true, true, true, true]);
  expect([false, 0, "0", "false", "", null, undefined].map(isCrowd)).toEqual(Array(7).fill(false));
  expect([2, "yes", Number.NaN, {}].map(isCrowd)).toEqual(Array(4).fill(undefined));
});
