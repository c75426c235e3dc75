import { describe, expect, it } from "vitest";
import { fromCocoRuns } from "../../masks/coco-runs.js";
import { encodeMask } from "../../masks/mask.js";
import {
  classList,
  cocoResults,
  csvResults,
  type FilePrediction,
  inOneLine,
  jsonResults,
  lostMasks,
  yoloLabels,
} from "./result-formats.js";

const image: FilePrediction = {
  file: "photos/000042.jpg",
  width: 200,
  height: 100,
  detections: [
    { box: [10, 20, 50, 60], score: 0.9, classId: 1, className: "dog" },
    { box: [0, 0, 200, 100], score: 0.5, classId: 0, className: 'a "big", cat' },
  ],
};
const empty: FilePrediction = { file: "b.jpg", width: 8, height: 8, detections: [] };

const ring = encodeMask([1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0], 4, 4);
const masked: FilePrediction = {
  file: "m.jpg",
  width: 4,
  height: 4,
  detections: [
    { box: [0, 0, 3, 3], score: 0.9, classId: 0, className: "ring", mask: ring },
    { box: [0, 0, 4, 4], score: 0.6, classId: 0, className: "ring", mask: encodeMask(new Uint8Array(16), 4, 4) },
  ],
};
const unmasked = ({ mask: _, ...rest }: (typeof masked.detections)[number]) => rest;
const firstOf = (results: object): { mask?: unknown; segmentation?: unknown; area?: number } =>
  Array.isArray(results) ? results[0] : (results as { images: { detections: object[] }[] }).images[0].detections[0];

describe("results", () => {
  it("as JSON have every image, and errors if there are some", () => {
    const [dog] = image.detections;
    const alone = { ...image, detections: [dog] };
    const detection = { box: [10, 20, 50, 60], score: 0.9, class_id: 1, class_name: "dog" };
    const images = [
      { file: "photos/000042.jpg", width: 200, height: 100, detections: [detection] },
      { file: "b.jpg", width: 8, height: 8, detections: [] },
    ];
    expect(jsonResults([alone, empty], [])).toEqual({ images });
    const bestBelow = { classId: 1, className: "dog", score: 0.25, threshold: 0.5 };
    const best_below = { score: 0.25, class_id: 1, class_name: "dog", threshold: 0.5 };
    expect(jsonResults([{ ...empty, bestBelow }], [])).toEqual({ images: [{ ...images[1], best_below }] });
    const errors = [{ file: "x.jpg", message: "no picture" }];
    expect(jsonResults([], errors)).toEqual({ images: [], errors });
  });

  it("as COCO results have corners as left, top, width and height, and numbers as ids where names are numbers", () => {
    const [dog, cat] = image.detections.map(({ className }) => ({
      file_name: "photos/000042.jpg",
      category_name: className,
    }));
    expect(cocoResults([image, empty])).toEqual([
      { image_id: 42, category_id: 1, bbox: [10, 20, 40, 40], score: 0.9, ...dog },
      { image_id: 42, category_id: 0, bbox: [0, 0, 200, 100], score: 0.5, ...cat },
    ]);
    expect(cocoResults([{ ...image, file: "café.png" }])[0]).toMatchObject({ image_id: "café" });
  });

  it("as COCO results name the path below the folder that all images share", () => {
    const files = ["p/a/1.jpg", "p/b/1.jpg"].map((file) => ({ ...image, file }));
    const names = cocoResults(files).map((row) => (row as { file_name: string }).file_name);
    expect(new Set(names)).toEqual(new Set(["a/1.jpg", "b/1.jpg"]));
  });

  it("as COCO results never share an id between images", () => {
    const ids = (...files: string[]) =>
      cocoResults(files.map((file) => ({ ...image, file }))).map((row) => Object.values(row)[0]);
    expect(new Set(ids("p/a/1.jpg", "p/b/1.jpg", "p/b/01.png", "p/b/7.jpg"))).toEqual(
      new Set(["a/1", "b/1", "b/01", 7]),
    );
    expect(new Set(ids("p/x y.jpg", "p/x y.png"))).toEqual(new Set(["x y", "x y.png"]));
  });

  it("as a table have a row for each detection", () => {
    expect(csvResults([image, empty])).toBe(
      "file,width,height,class_id,class_name,score,x1,y1,x2,y2\n" +
        "photos/000042.jpg,200,100,1,dog,0.9,10,20,50,60\n" +
        'photos/000042.jpg,200,100,0,"a ""big"", cat",0.5,0,0,200,100\n',
    );
  });

  it("as YOLO labels are fractions of the image", () => {
    expect(yoloLabels(image)).toBe("1 0.15 0.4 0.2 0.4\n0 0.5 0.5 1 1\n");
    expect(yoloLabels(empty)).toBe("");
    expect(classList(["cat"], [image])).toBe('a "big", cat\ndog\n');
    expect(classList(["cat", "dog", "emu"], [])).toBe("cat\ndog\nemu\n");
  });

  it("as JSON and as COCO results have masks as COCO's runs", () => {
    for (const detection of [jsonResults([masked], []), cocoResults([masked])].map(firstOf)) {
      expect(fromCocoRuns(detection.mask ?? detection.segmentation)).toEqual(ring);
      expect(detection.area).toBe("segmentation" in detection ? 8 : undefined);
    }
  });

  it("as YOLO labels have a polygon for each mask, whose parts and holes are joined, and the box of an empty one", () => {
    expect(yoloLabels(masked)).toBe(
      "0 0.75 0 0.75 0.75 0 0.75 0 0 0.75 0 0.5 0.25 0.25 0.25 0.25 0.5 0.5 0.5 0.5 0.25\n" + "0 0.5 0.5 1 1\n",
    );
    expect(lostMasks("yolo", [masked])).toBe("yolo has no place for an empty mask: the box stands for 1 detection");
  });

  it("as a table have no masks, and say so", () => {
    expect(csvResults([masked])).toBe(csvResults([{ ...masked, detections: masked.detections.map(unmasked) }]));
    expect(lostMasks("csv", [masked])).toBe("csv has no place for masks: json, coco and yolo have them");
    for (const format of ["json", "coco", null]) expect(lostMasks(format, [masked])).toBeNull();
    expect(lostMasks("csv", [image])).toBeNull();
  });

  it("in a line for people have class, score and box, the best of many", () => {
    expect(inOneLine([])).toBe("nothing");
    expect(inOneLine(image.detections.slice(0, 1))).toBe("dog 0.90 [10 20 50 60]");
    const twoLines = { ...image.detections[0], className: "a\nb" };
    expect(inOneLine([twoLines])).toMatch(/^a b 0/);
    expect(inOneLine(Array.from({ length: 100 }, () => image.detections[0]))).toMatch(/ and 92 more$/);
  });
});
