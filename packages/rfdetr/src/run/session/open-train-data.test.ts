import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Target } from "../../data/index.js";
import { synthesize } from "../../data/index.js";
import type { GroundTruth } from "../../eval/coco/evaluated-image.js";
import { resolveSettings } from "../../settings/resolve.js";
import type { ReadySettings } from "../../settings/settings.js";
import { openTrainData } from "./open-train-data.js";

describe("openTrainData", () => {
  const sizes = { seed: 1, size: 64, evaluationSize: 64, detections: 60 };

  it("holds the data to the classes that were asked for", async () => {
    const datasetDir = join(mkdtempSync(join(tmpdir(), "data-")), "set");
    await synthesize(datasetDir, { images: 8, size: 64, classes: 2, seed: 1 });
    const open = (options: object) =>
      openTrainData(resolveSettings({ datasetDir, numWorkers: 0, ...options }) as ReadySettings, sizes);
    const data = await open({});
    await data.close();
    const [first, second] = data.classNames;
    await expect(open({ numClasses: 3 })).rejects.toThrow(
      `Expected 3 classes in ${datasetDir} but found 2: ${first}, ${second}`,
    );
    await expect(open({ classNames: [second, first] })).rejects.toThrow(/Expected the classes .* but found/);
    await (await open({ numClasses: 2, classNames: [first, second] })).close();
  });

  it("has masks for a model that predicts them, and refuses data without", async () => {
    const datasetDir = join(mkdtempSync(join(tmpdir(), "data-")), "set");
    await synthesize(datasetDir, { images: 8, size: 64, classes: 2, seed: 1 });
    const settings = resolveSettings({ datasetDir, numWorkers: 0 }) as ReadySettings;
    const first = async (masks: boolean) => {
      const data = await openTrainData(settings, { ...sizes, masks });
      const steps = data.steps(0, 0)[Symbol.asyncIterator]();
      const batches = data.evaluation("valid", 1)[Symbol.asyncIterator]();
      const [step, batch] = [(await steps.next()).value, (await batches.next()).value];
      await Promise.all([steps.return?.(), batches.return?.()]);
      await data.close();
      return { targets: step[0].targets as Target[], truths: batch.truths as GroundTruth[], hash: data.contents };
    };
    const [with_, without] = [await first(true), await first(false)];
    for (const { masks, labels } of with_.targets) {
      expect(masks).toHaveLength(labels.length);
      for (const mask of masks ?? []) expect([mask.height, mask.width]).toEqual([64, 64]);
    }
    expect(with_.truths[0].masks).toHaveLength(with_.truths[0].labels.length);
    expect([without.targets[0].masks, without.truths[0].masks]).toEqual([undefined, undefined]);
    expect(without.targets).toEqual(with_.targets.map(({ masks: _, ...target }) => target));
    expect(with_.hash.train.sha256).not.toBe(without.hash.train.sha256);
    const file = join(datasetDir, "train", "_annotations.coco.json");
    const content = JSON.parse(readFileSync(file, "utf8"));
    for (const annotation of content.annotations) delete annotation.segmentation;
    writeFileSync(file, JSON.stringify(content));
    await expect(first(true)).rejects.toMatchObject({
      message: expect.stringMatching(/(\d+) of \1 objects of the train split have no outline/),
      hint: expect.stringMatching(/^`npx rfdetr data check \S+ --masks` lists every fault/),
    });
    expect((await first(false)).targets).toEqual(without.targets);
  });

  it("warns of a validation split without objects, which has no figures", async () => {
    const datasetDir = join(mkdtempSync(join(tmpdir(), "data-")), "set");
    await synthesize(datasetDir, { images: 8, size: 64, classes: 2, seed: 1 });
    const file = join(datasetDir, "valid", "_annotations.coco.json");
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), annotations: [] }));
    const settings = resolveSettings({ datasetDir, numWorkers: 0 }) as ReadySettings;
    const { warnings, close } = await openTrainData(settings, sizes);
    await close();
    expect(warnings).toContainEqual(expect.stringMatching(/^valid: the split has no objects, so AP is not defined/));
  });

  it.each([
    ["one dataset", false],
    ["several, with shares, balanced classes and a custom augmentation", true],
  ])("gives the processes of a run the micro-batches and batches of one that makes all of them: %s", async (_, all) => {
    const folder = mkdtempSync(join(tmpdir(), "data-"));
    const datasetDir = join(folder, "set");
    await synthesize(datasetDir, { images: 40, size: 64, classes: 2, seed: 1 });
    const options = { datasetDir, numWorkers: 0, batchSize: 2, gradAccumSteps: 2, processes: 2, scaleJitter: true };
    if (all) {
      await synthesize(join(folder, "other"), { images: 10, size: 64, classes: 2, seed: 2 });
      options.datasetDir = join(folder, "list.json");
      const datasets = [
        { path: "set", share: 1 },
        { path: "other", share: 3 },
      ];
      writeFileSync(options.datasetDir, JSON.stringify({ datasets }));
      const module = join(folder, "dim.mjs");
      writeFileSync(module, "export default (s, rng) => ({ ...s, data: s.data.map((v) => v * rng.next()) });");
      Object.assign(options, { augConfig: { Custom: { module } }, classBalancedSampling: 0.8, classWeights: 0.5 });
    }
    const settings = resolveSettings(options) as ReadySettings;
    const read = async (rank: number, size: number) => {
      const data = await openTrainData(settings, { ...sizes, shard: { rank, size } });
      const steps: string[][] = [];
      const batches: string[] = [];
      const hash = (bytes: ArrayBufferView) =>
        createHash("sha256")
          .update(bytes as Uint8Array)
          .digest("hex");
      for await (const step of data.steps(1, 1)) steps.push(step.map(({ images }) => hash(images)));
      for await (const { images } of data.evaluation("valid", 3)) batches.push(hash(images));
      await data.close();
      return { steps, batches, told: data.notes };
    };
    const whole = await read(0, 1);
    const [first, second] = [await read(0, 2), await read(1, 2)];
    expect(whole.steps[0]).toHaveLength(4);
    expect(whole.batches.length).toBeGreaterThan(1);
    expect(first.steps.map(([a, c], i) => [a, second.steps[i][0], c, second.steps[i][1]])).toEqual(whole.steps);
    if (all) expect(whole.told).toEqual(expectedNotes(folder));
    expect(whole.batches).toEqual(whole.batches.map((_, i) => [first, second][i % 2].batches[Math.floor(i / 2)]));
  });
});

/** What is said of 32 and 8 training images with shares 1 and 3. */
const expectedNotes = (folder: string) => [
  expect.stringMatching(
    new RegExp(`^${join(folder, "set")}: \\d+ training images, 25.0 % of an epoch, each image 0.\\d\\d times$`),
  ),
  expect.stringMatching(new RegExp(`^${join(folder, "other")}: \\d+ training images, 75.0 % of an epoch`)),
  expect.stringMatching(/^An epoch draws \d+ times from \d+ images. Classes are weighted in the loss$/),
  ...[0, 1].map(() =>
    expect.stringMatching(/: \d+ images, \d+ boxes, [\d.]+ % → [\d.]+ % of the boxes, weight [\d.]+$/),
  ),
];
