// The class RFDETR through a whole life, as the first page of the documents promises it: train, predict, export, load.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { synthesize } from "../src/data/synth/synth.js";
import { evaluateWeights } from "../src/eval/evaluate-weights.js";
import type { ScoredSplitOptions } from "../src/eval/scored-split.js";
import { RFDETR } from "../src/index.js";
import { evaluateOnnx } from "../src/onnx/evaluate-onnx.js";
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

const enough = new Error("That is enough");

describe("evaluations", () => {
  const stopped = () => {
    const stop = new AbortController();
    const batches: number[] = [];
    const progress = (images: number): void => {
      batches.push(images);
      stop.abort(enough);
    };
    return { batches, options: { data, split: "valid", batch: 1, progress, signal: stop.signal } as const };
  };

  it("take no further batch of weights, or of an exported file, after the signal", async () => {
    const weights = join(folder, "run", "weights", "best.safetensors");
    for (const evaluation of [
      (options: ScoredSplitOptions) => evaluateWeights(weights, { ...options, precision: "auto", device: "cpu" }),
      (options: ScoredSplitOptions) => evaluateOnnx(join(folder, "bird.onnx"), options),
    ]) {
      const { batches, options } = stopped();
      await expect(evaluation(options)).rejects.toBe(enough);
      expect(batches).toEqual([1]);
    }
  });
});

it("ends an export and an evaluation when the signal says so, leaves nothing of them, and detects as before", async () => {
  const weights = join(folder, "run", "weights", "best.safetensors");
  const out = join(folder, "stopped.onnx");
  const detector = await RFDETR.create("tiny", { weights });
  const before = await detector.predict(photos[0], { threshold: 0.001 });
  const doings: string[] = [];
  for (const last of ["tracing", "writing", "proving"] as const) {
    const stop = new AbortController();
    const progress = (doing: string): void => {
      doings.push(doing);
      if (doing === last) stop.abort(enough);
    };
    const stopped = detector.export({ out, data, precision: "fp32", progress, signal: stop.signal });
    // A proof that was as fast as the signal leaves a file that is whole.
    if (last === "proving") await stopped.catch((error) => expect(error).toBe(enough));
    else await expect(stopped).rejects.toBe(enough);
    if (last !== "proving") expect([existsSync(out), existsSync(`${out}.partial`)]).toEqual([false, false]);
  }
  expect(doings).toContain("proving");
  const failing = () => {
    throw enough;
  };
  await expect(detector.export({ out: join(folder, "failing.onnx"), progress: failing })).rejects.toBe(enough);
  expect(readdirSync(folder).filter((name) => name.startsWith("failing"))).toEqual([]);
  const stop = new AbortController();
  const row = { image: photos[0], boxes: [[1, 1, 9, 9]], labels: ["circle"] };
  const rows = async function* () {
    yield row;
    stop.abort(enough);
    yield { ...row, image: photos[1] };
  };
  const { signal } = stop;
  await expect(detector.evaluate({ data: { train: [row], valid: rows() }, signal })).rejects.toBe(enough);
  for (const call of [detector.evaluate({ data, signal }), detector.export({ out, signal })])
    await expect(call).rejects.toBe(enough);
  expect(await detector.predict(photos[0], { threshold: 0.001 })).toEqual(before);
  expect((await detector.evaluate({ data, signal: new AbortController().signal })).AP).toEqual(expect.any(Number));
  await expect(detector.export({ out, opset: 11 } as never)).rejects.toThrow(
    "Expected 17 for opset but received 11 of type number: it is the lowest that has all operators of the model",
  );
  await detector.dispose();
});
