// The class RFDETR through a whole life, as the first page of the documents promises it: train, predict, export, load.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { synthesize } from "../src/data/synth/synth.js";
import { RFDETR } from "../src/index.js";
import { testFolder } from "../src/testing/test-folder.js";

const folder = testFolder();
const data = join(folder, "birds");
const photos = ["0", "1"].map((n) => join(data, "valid", `valid-0000${n}.jpg`));

beforeAll(async () => {
  await synthesize(data, { images: 12, size: 96, classes: 3 });
});

it("trains with events, predicts one and many, exports, and loads the exported file", async () => {
  const { signal } = new AbortController();
  const detector = await RFDETR.create("tiny", { weights: "none" });
  const outputDir = join(folder, "run");
  const run = detector.train({ data, epochs: 2, batchSize: 4, multiScale: "off", seed: 1, outputDir, signal });
  const epochs: [ap50: number | null, skipped: number][] = [];
  for await (const event of run) if (event.type === "epoch") epochs.push([event.ap50, event.amp.skipped]);
  expect(epochs).toEqual(Array(2).fill([expect.any(Number), 0]));
  const { best, dir } = await run.result;
  expect([dir, best]).toEqual([outputDir, join(outputDir, "weights", "best.safetensors")]);

  const one = await detector.predict(photos[0], { threshold: 0.001 });
  expect(one.length).toBeGreaterThan(0);
  expect(one[0]).toMatchObject({ box: expect.any(Array), classId: expect.any(Number), className: expect.any(String) });
  const many = new Map<unknown, unknown>();
  for await (const { source, detections } of detector.predict(photos, { batch: 8, signal, threshold: 0.001 }))
    many.set(source, detections);
  expect([...many.keys()]).toEqual(photos);
  expect(many.get(photos[0])).toHaveLength(one.length);

  const out = join(folder, "bird.onnx");
  expect(await detector.export({ out, precision: "fp16" })).toMatchObject({ out, precision: "fp16" });
  const light = await RFDETR.load(out);
  const [found] = await light.predict(photos[0], { threshold: 0.001 });
  expect(found.score).toBeCloseTo(one[0].score, 1);
  for (const each of [detector, light]) {
    await each[Symbol.asyncDispose]();
    await expect(each.predict(photos[0])).rejects.toThrow("was disposed of");
  }
});

it("ends a training at its last step, and a prediction at its last image, when the signal says so", async () => {
  const detector = await RFDETR.create("tiny", { weights: "none" });
  const stop = new AbortController();
  const outputDir = join(folder, "stopped");
  const run = detector.train({ data, epochs: 50, batchSize: 4, seed: 1, outputDir, signal: stop.signal });
  for await (const event of run) if (event.type === "step" && event.step === 2) stop.abort();
  expect((await run.result).summary).toMatchObject({ stop_reason: "interrupted" });
  expect(readdirSync(outputDir)).toContain("checkpoint");

  const halt = new AbortController();
  const seen: unknown[] = [];
  const predictions = async () => {
    for await (const { source } of detector.predict(Array(50).fill(photos[0]), { signal: halt.signal })) {
      seen.push(source);
      halt.abort();
    }
  };
  await expect(predictions()).rejects.toThrow(expect.objectContaining({ name: "AbortError" }));
  expect(seen).toHaveLength(1);
  await detector.dispose();
});
