// A run that is to end does not wait for images that do not come.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import type { TrainEvent } from "../src/run/events/events.js";
import { resumeConfig } from "../src/run/session/resume.js";
import type { OpenTrainData } from "../src/run/session/training-data.js";
import { train } from "../src/run/trainer.js";
import { resolveSettings } from "../src/settings/resolve.js";
import { squares } from "./squares.js";

const folder = mkdtempSync(join(tmpdir(), "hung-images-"));
afterAll(() => rmSync(folder, { recursive: true }));

const path = (name: string): string => join(folder, name);
const settings = (name: string) =>
  resolveSettings({
    datasetDir: "-",
    model: "tiny",
    outputDir: path(name),
    seed: 3,
    maxSteps: 4,
    batchSize: 2,
    precision: "32-true",
    monitorInterval: 0,
    plots: false,
    evalInterval: 10,
  });

async function run(name: string, openData: OpenTrainData, resume: string | null, stop = new Int32Array(1)) {
  const events: TrainEvent[] = [];
  const request = { settings: resume === null ? settings(name) : resumeConfig(resume), resume, stop };
  for await (const event of train(request, openData)) events.push(event);
  return events;
}

it("saves the steps that were taken, and goes on from them", async () => {
  const stop = new Int32Array(1);
  const whole = squares(12);
  const hung: OpenTrainData = async (...asked) => {
    const data = await whole(...asked);
    return {
      ...data,
      async *steps(epoch, from) {
        let taken = 0;
        for await (const step of data.steps(epoch, from)) {
          if (taken++ < 2) yield step;
          else {
            stop[0] = 1;
            await new Promise(() => {});
          }
        }
      },
    };
  };
  const events = await run("hung", hung, null, stop);
  expect(events.at(-1)).toMatchObject({ type: "done", summary: { stop_reason: "interrupted", steps: 2 } });
  await run("hung", whole, path("hung"));
  await run("whole", whole, null);
  const weights = (name: string): Buffer => readFileSync(join(path(name), "weights", "last.safetensors"));
  expect(weights("hung").equals(weights("whole"))).toBe(true);
});
