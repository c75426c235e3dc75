import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { synthesize } from "../../data/index.js";
import { resolveSettings } from "../../settings/resolve.js";
import type { ReadySettings } from "../../settings/settings.js";
import { openTrainData } from "./open-train-data.js";

describe("openTrainData", () => {
  const sizes = { seed: 1, side: 64, evaluationSide: 64, detections: 60 };

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

  it("gives the processes of a run the micro-batches and batches of one that makes all of them", async () => {
    const datasetDir = join(mkdtempSync(join(tmpdir(), "data-")), "set");
    await synthesize(datasetDir, { images: 40, size: 64, classes: 2, seed: 1 });
    const options = { datasetDir, numWorkers: 0, batchSize: 2, gradAccumSteps: 2, processes: 2, scaleJitter: true };
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
      return { steps, batches };
    };
    const whole = await read(0, 1);
    const [first, second] = [await read(0, 2), await read(1, 2)];
    expect(whole.steps[0]).toHaveLength(4);
    expect(whole.batches.length).toBeGreaterThan(1);
    expect(first.steps.map(([a, c], i) => [a, second.steps[i][0], c, second.steps[i][1]])).toEqual(whole.steps);
    expect(whole.batches).toEqual(whole.batches.map((_, i) => [first, second][i % 2].batches[Math.floor(i / 2)]));
  });
});
