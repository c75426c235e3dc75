import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { TrainEvent } from "../src/run/events/events.js";
import type { OpenTrainData } from "../src/run/session/training-data.js";
import { train } from "../src/run/trainer.js";
import { resolveSettings } from "../src/settings/resolve.js";
import { squares } from "./squares.js";

const folder = mkdtempSync(join(tmpdir(), "no-figures-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The squares, with a validation split that has none. */
const withoutObjects: OpenTrainData = async (...request) => {
  const data = await squares(10)(...request);
  return {
    ...data,
    async *evaluation(split, batch) {
      for await (const images of data.evaluation(split, batch))
        yield { ...images, truths: images.truths.map(() => ({ boxes: [], labels: [] })) };
    },
  };
};

describe("a run whose validation split has no objects", () => {
  it("has no figures anywhere, no best weights, and is not stopped early", async () => {
    const settings = resolveSettings({
      datasetDir: "-",
      model: "tiny",
      outputDir: join(folder, "run"),
      seed: 3,
      epochs: 3,
      batchSize: 2,
      precision: "32-true",
      monitorInterval: 0,
      earlyStopping: true,
      earlyStoppingPatience: 1,
    });
    const events: TrainEvent[] = [];
    const request = { settings, resume: null, stop: new Int32Array(1) };
    for await (const event of train(request, withoutObjects)) events.push(event);
    const file = (name: string) => readFileSync(join(folder, "run", name), "utf8");

    const epochs = events.filter((event) => event.type === "epoch");
    expect(epochs).toHaveLength(3);
    for (const epoch of epochs) expect(epoch).toMatchObject({ ap: null, ap50: null, ap75: null, best: false });
    expect(events.at(-1)).toMatchObject({
      type: "done",
      best: null,
      last: join(folder, "run", "weights", "last.safetensors"),
      summary: { AP: null, AP50: null, stop_reason: "finished" },
    });
    const [header, ...rows] = file("metrics.csv").trim().split("\n");
    const columns = header.split(",").flatMap((name, i) => (/^val\/A[PR]/.test(name) ? [i] : []));
    expect(columns.length).toBeGreaterThan(5);
    for (const row of rows) for (const i of columns) expect(row.split(",")[i]).toBe("");
    // What is found where there is nothing costs, so there is a loss.
    for (const row of rows) expect(Number(row.split(",")[header.split(",").indexOf("val/loss")])).toBeGreaterThan(0);
    expect(JSON.parse(file("evaluation.json"))).toMatchObject({ AP: null, AR100: null, per_class: [{ AP: null }, {}] });
    expect(JSON.parse(file("summary.json"))).toMatchObject({ AP: null, AP50: null });
    const board = readdirSync(join(folder, "run")).find((name) => name.startsWith("events.out")) as string;
    expect(file(board)).toContain("train/loss");
    expect(file(board)).not.toContain("val/AP");
    expect(existsSync(join(folder, "run", "weights", "best.safetensors"))).toBe(false);
  });
});
