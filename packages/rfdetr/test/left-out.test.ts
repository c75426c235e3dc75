import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { synthesize } from "../src/data/index.js";
import type { TrainEvent } from "../src/run/events/events.js";
import { openTrainData } from "../src/run/session/open-train-data.js";
import { train } from "../src/run/trainer.js";
import { resolveSettings } from "../src/settings/resolve.js";

const folder = mkdtempSync(join(tmpdir(), "left-out-"));
const datasetDir = join(folder, "data");
afterAll(() => rmSync(folder, { recursive: true }));

/** Keeps the first half of a picture. @returns its name */
function cutOff(split: string): string {
  const name = readdirSync(join(datasetDir, split)).find((file) => /\.(jpg|png)$/.test(file)) as string;
  const path = join(datasetDir, split, name);
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.subarray(0, bytes.length >> 1));
  return name;
}

describe("pictures that do not decode", () => {
  let names: string[];
  beforeAll(async () => {
    await synthesize(datasetDir, { images: 24, size: 64, classes: 2, seed: 1 });
    names = [cutOff("train"), cutOff("valid")];
  });

  it("are left out of training and evaluation, each named once, and counted", async () => {
    const settings = resolveSettings({
      datasetDir,
      model: "tiny",
      outputDir: join(folder, "run"),
      seed: 1,
      epochs: 2,
      batchSize: 4,
      numWorkers: 0,
      precision: "32-true",
      monitorInterval: 0,
    });
    const events: TrainEvent[] = [];
    for await (const event of train({ settings, resume: null, stop: new Int32Array(1) }, openTrainData))
      events.push(event);
    const warnings = events.flatMap((event) => (event.type === "warning" ? [event.message] : []));
    expect(warnings).toHaveLength(2);
    names.forEach((name, i) => {
      expect(warnings[i]).toContain(name);
    });
    expect(events.at(-1)).toMatchObject({ type: "done", summary: { stop_reason: "finished", bad_images: 2 } });
  });
});
