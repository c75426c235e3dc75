import { expect, it } from "vitest";
import { checkDataset, DataLoader, findDuplicates, gatherDataset, openDataset, synthesize } from "../src/data/index.js";
import {
  CocoEvaluator,
  cropDetections,
  drawDetections,
  evaluateFiles,
  imageFiles,
  mosaic,
  Tracker,
} from "../src/index.js";

it("options of the drawing, cutting and following calls are checked as those of a detector are", async () => {
  const misspelt = { otu: 1 } as never;
  expect(() => new Tracker(misspelt)).toThrow("framesToConfirm, framesToKeep for Tracker but received otu");
  expect(() => new Tracker({ iou: 2 })).toThrow("Expected number from 0 to 1 for iou but received 2");
  const image = { data: new Uint8Array(3), width: 1, height: 1, channels: 3 as const };
  const calls = [
    () => drawDetections(image, [], misspelt),
    () => cropDetections(image, [], misspelt),
    () => mosaic([image], misspelt),
    () => gatherDataset({ train: [], valid: [] }, "/no/folder", misspelt),
    () => findDuplicates([], misspelt),
    () => checkDataset("birds/", misspelt),
    () => synthesize("birds/", misspelt),
    async () => new DataLoader(misspelt),
    async () => openDataset("birds/", "train", misspelt),
    async () => evaluateFiles("a.json", "b.json", misspelt),
    async () => new CocoEvaluator({ classNames: [], otu: 1 } as never),
  ];
  for (const call of calls) await expect(call()).rejects.toThrow("but received otu");
  const none = null as never;
  const received = "but received null";
  await expect(gatherDataset({ train: [], valid: [] }, "/no/folder", none)).rejects.toThrow(received);
  await expect(gatherDataset({ train: [], valid: [] }, none)).rejects.toThrow(`a path for target ${received}`);
  await expect(drawDetections(image, none)).rejects.toThrow(
    `of four finite numbers and perhaps a mask of rfdetr/masks, for detections ${received}`,
  );
  await expect(drawDetections(image, [], none)).rejects.toThrow(received);
  const lost = [{ box: [Number.NaN, 0, 1, 1], score: 1, classId: 0, className: "owl" }] as never;
  const boxes =
    "a list of detections, each with a box of four finite numbers and perhaps a mask of rfdetr/masks, for detections but received";
  await expect(drawDetections(image, lost)).rejects.toThrow(boxes);
  await expect(cropDetections(image, lost)).rejects.toThrow(boxes);
  expect(() => new Tracker().update(lost)).toThrow(boxes);
  expect(() => openDataset(none, "train")).toThrow(`Expected a path for data ${received}`);
  expect(() => openDataset("birds/", "tset" as never)).toThrow('for split but received "tset"');
  expect(() => imageFiles("birds/" as never)).toThrow('Expected a list of texts for images but received "birds/"');
});
