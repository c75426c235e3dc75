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
});
