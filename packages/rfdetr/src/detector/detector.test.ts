import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { manualSeed, scope } from "@rfdetr/torch";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from "vitest";
import { RFDETRModel } from "../model/rfdetr.js";
import type { Detection } from "../model/types.js";
import { resolveModel } from "../model/variants.js";
import { Predictor } from "../predict/predict.js";
import type { PredictManyOptions, SourcePrediction, TextPredictions } from "../predict/predictions.js";
import type { VideoFrame } from "../predict/video/video.js";
import { saveWeights } from "../weights/weights.js";
import { RFDETR } from "./detector.js";

/** A call as a caller without types makes it. */
type Untyped = (...args: unknown[]) => Promise<unknown>;
const [create, load, resume] = [RFDETR.create, RFDETR.load, RFDETR.resume] as unknown as Untyped[];

describe("a detector in JavaScript", () => {
  it.each([
    [[], "for the model but received undefined"],
    [["constructor"], "for the model but received constructor"],
    [["__proto__"], "for the model but received __proto__"],
    [["Nano"], "did you mean nano?"],
    [["tiny", { weigths: "a.pth" }], "for RFDETR.create but received weigths: did you mean weights?"],
    [["tiny", "a.pth"], 'Expected an object of options for RFDETR.create but received "a.pth"'],
    [["tiny", { weights: 7 }], "Expected text for weights but received 7"],
    [["tiny", { precision: "fp16" }], "for precision but received"],
    [["tiny", { classNames: ["owl", "owl"] }], "Expected a list of different texts for classNames but received"],
    [["tiny", { classNames: ["owl"] }], "Expected classNames for an exported file only but received them for the tiny"],
  ])("is not made with %j", async (args, message) => {
    await expect(create(...args)).rejects.toThrow(message);
  });

  it("has the published weights of its model unless it is told otherwise, and looks for them when they are needed", async () => {
    const detector = await RFDETR.create("nano");
    expect(detector.weights).toBe("coco");
    await expect(detector.load()).rejects.toThrow("The weights nano could not be downloaded from");
    for (const random of [await RFDETR.create("nano", { weights: "none" }), await RFDETR.create("tiny")]) {
      expect(random.weights).toBeNull();
      await expect(random.load()).rejects.toThrow("has no weights");
    }
    await expect(RFDETR.create("tiny", { weights: "coco" })).rejects.toThrow("Expected a model whose COCO weights");
  });

  it("says at once which option of a call is wrong", async () => {
    const detector = await RFDETR.create("tiny");
    const { train, predict, evaluate } = detector as unknown as Record<string, (...args: unknown[]) => unknown>;
    expect(() => train.call(detector)).toThrow("Expected an object of options for train but received undefined");
    expect(() => train.call(detector, { data: "d", epocs: 2 })).toThrow("did you mean epochs?");
    expect(() => train.call(detector, { data: "d", batchSise: 2 })).toThrow("did you mean batchSize?");
    expect(() => train.call(detector, { data: "d", signal: true })).toThrow("Expected an AbortSignal for signal");
    expect(() => train.call(detector, { data: "d", sginal: null })).toThrow("did you mean signal?");
    expect(() => train.call(detector, { data: 5 })).toThrow(
      "Expected a folder, { train, valid } or a list of { path, share } for data but received 5",
    );
    expect(() => train.call(detector, { data: "d", datasetDir: "e" })).toThrow("received data and datasetDir");
    expect(() => train.call(detector, { data: "d", model: "nano" })).toThrow("than the detector's, tiny, for train");
    expect(() => train.call(detector, { data: "d", resume: "runs/a" })).toThrow("but received resume");
    await expect(predict.call(detector, "a.jpg", { treshold: 0.1 })).rejects.toThrow("did you mean threshold?");
    for (const tiles of [1, { size: [64, 31] }, { size: 64, overlap: 64 }])
      await expect(predict.call(detector, "a.jpg", { tiles })).rejects.toThrow(
        "the side of a tile in pixels, 32 or more",
      );
    await expect(predict.call(detector, "a.jpg", { shape: 16_416 })).rejects.toThrow(
      "Expected side in pixels up to 16384, or [height, width], for shape",
    );
    const byClass = { threshold: new Map([["heron", 0.3]]) };
    await expect(predict.call(detector, "a.jpg", byClass)).rejects.toThrow(
      "for threshold but received an instance of Map",
    );
    await expect((async () => predict.call(detector, "a.mp4", null))()).rejects.toThrow(
      "for predict but received null",
    );
    await expect(evaluate.call(detector, {})).rejects.toThrow("the option data of evaluate but received none");
    await expect(load("a.pth", "b")).rejects.toThrow("Expected an object of options for RFDETR.load");
    await expect(resume()).rejects.toThrow("the option run of RFDETR.resume but received none");
    await expect(resume("runs/a", { batchSize: 2 })).rejects.toThrow("for RFDETR.resume but received batchSize");
  });
});

describe("a detector that predicts", () => {
  let folder: string;
  let weights: string;
  let photos: Buffer[];
  const everything = { threshold: 0 };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "detector-"));
    weights = join(folder, "tiny.safetensors");
    manualSeed(0);
    const config = resolveModel("tiny", { numClasses: 2 });
    saveWeights(weights, scope(() => new RFDETRModel(config)).stateDict(), { classNames: ["cat", "dog"], config });
    photos = await Promise.all(
      ["#c84", "#48c"].map((background, i) =>
        sharp({ create: { width: 90 + i, height: 60, channels: 3, background } })
          .png()
          .toBuffer(),
      ),
    );
    photos.forEach((photo, i) => writeFileSync(join(folder, `${i}.png`), photo));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const make = () => RFDETR.create("tiny", { weights, precision: "32-true", device: "cpu" });

  it("gives what a predictor on its own thread gives, for every form of an image", async () => {
    await using detector = await make();
    const path = join(folder, "0.png");
    const { detections } = await Predictor.load(weights, { precision: "32-true", device: "cpu" }).detect(
      path,
      everything,
    );
    expect(detections.length).toBeGreaterThan(0);
    const { data, info } = await sharp(path).raw().toBuffer({ resolveWithObject: true });
    const { width, height } = info;
    const forms = [path, photos[0], new Blob([new Uint8Array(photos[0])]), sharp(path)];
    for (const image of [...forms, { data, width, height, channels: 3 as const }])
      expect(await detector.predict(image, everything)).toEqual(detections);
    const given = new Uint8Array(photos[0]);
    expect(await detector.predict(given, { ...everything, transfer: true })).toEqual(detections);
    expect(given.length).toBe(0);
  });

  it("reports the classes that are asked for, each above its threshold", async () => {
    await using detector = await make();
    const all = await detector.predict(photos[0], everything);
    const cats = await detector.predict(photos[0], { threshold: { "*": 1, cat: 0 }, maxDetections: 5 });
    expect(cats).toEqual(all.filter(({ className }) => className === "cat").slice(0, 5));
    await expect(detector.predict(photos[0], { classes: ["cta"] })).rejects.toThrow("did you mean cat?");
    await expect(detector.predict(photos[0], { threshold: { cat: 2 } })).rejects.toThrow(
      "by class name, for threshold",
    );
    await expect(detector.predict(photos[0], { threshold: "bset" as never })).rejects.toThrow(
      'Expected number from 0 to 1, "best", "best-by-class", or an object of those by class name, for threshold but received "bset"',
    );
    for (const threshold of ["best", "best-by-class", { cat: "best" }] as const)
      await expect(detector.predict(photos[0], { threshold })).rejects.toThrow(
        /^Expected weights with a recorded threshold for threshold "best" but \S+ has none: /,
      );
  });

  it("gives a list for a list", async () => {
    await using detector = await make();
    const [first, second] = await detector.predict(photos, everything);
    expect(first).toEqual(await detector.predict(photos[0], everything));
    expect(second).toEqual(await detector.predict(photos[1], everything));
    const sizes: number[] = [];
    for await (const { source, width } of detector.predict(photos, { batch: 2 })) {
      expect(source).toBe(photos[sizes.length]);
      sizes.push(width);
    }
    expect(sizes).toEqual([90, 91]);
  });

  it("takes folders and patterns by name, and iterates over what text names", async () => {
    await using detector = await make();
    const found = async (text: string, options: PredictManyOptions = {}) => {
      const all: [source: string, width: number][] = [];
      for await (const { source, width } of detector.predict(text, options)) all.push([String(source), width]);
      return all;
    };
    const [first, second] = [join(folder, "0.png"), join(folder, "1.png")];
    for (const text of [folder, join(folder, "?.png")])
      expect(await found(text, { batch: 2 })).toEqual([
        [first, 90],
        [second, 91],
      ]);
    expect(await found(second)).toEqual([[second, 91]]);
    expect(await found(join(folder, "none.png"), { onError: () => {} })).toEqual([]);
    await expect(found(join(folder, "none.png"))).rejects.toMatchObject({ code: "ERR_PICTURE_INPUT" });
    await expect(found(join(folder, "*.gif"))).rejects.toThrow("found none in");
  });

  it("says of text that is not one image, where it is awaited, what to do", async () => {
    await using detector = await make();
    const [clip, pattern]: string[] = ["clip.mp4", join(folder, "*.png")];
    const awaited: Promise<Detection[]> = detector.predict(clip);
    await expect(awaited).rejects.toThrow("Expected an image to be awaited but clip.mp4 is a video: iterate over");
    expect(await detector.predict(clip).catch(() => "caught")).toBe("caught");
    await expect(detector.predict(pattern).finally(() => {})).rejects.toThrow("is a pattern: iterate over its images");
    await expect(detector.predict(folder)).rejects.toThrow(`is a folder: iterate over its images, with for await, or`);
  });

  it("has types that say what text may be", () => {
    type Predict = RFDETR["predict"];
    const literal = (predict: Predict) => predict("clip.mp4");
    const text = (predict: Predict, name: string) => predict(name, { batch: 2 });
    expectTypeOf<Awaited<ReturnType<typeof literal>>>().toBeNever();
    expectTypeOf<Awaited<ReturnType<typeof text>>>().toEqualTypeOf<Detection[]>();
    type Results = ReturnType<ReturnType<typeof text>[typeof Symbol.asyncIterator]>;
    expectTypeOf<Results>().toExtend<AsyncIterator<SourcePrediction<string | VideoFrame>>>();
    expectTypeOf(text).returns.toEqualTypeOf<TextPredictions>();
  });

  it("leaves the thread of its caller free", async () => {
    await using detector = await make();
    let done = false;
    const predicted = detector.predict(photos[0]).then(() => {
      done = true;
    });
    let turns = 0;
    for (; !done; turns++) await setImmediate();
    await predicted;
    expect(turns).toBeGreaterThan(20);
  });

  it("knows its classes and resolution once it is loaded", async () => {
    await using detector = await make();
    expect([detector.classNames, detector.resolution]).toEqual([null, null]);
    const info = await detector.load();
    const { resolution } = resolveModel("tiny");
    expect(info).toMatchObject({ model: "tiny", precision: "32-true", device: "cpu" });
    expect([detector.classNames, detector.resolution]).toEqual([["cat", "dog"], resolution]);
    await using other = await RFDETR.load(weights, { device: "cpu" });
    expect([other.model, other.weights, other.resolution]).toEqual(["tiny", weights, resolution]);
  });

  it("refuses work after it was disposed of, weights of another variant, and weights that are gone", async () => {
    const detector = await make();
    await detector.dispose();
    await detector.dispose();
    await expect(detector.predict(photos[0])).rejects.toThrow("was disposed of");
    await expect(detector.evaluate({ data: folder })).rejects.toThrow("was disposed of");
    await expect(detector.export({ out: join(folder, "late.onnx") })).rejects.toThrow("was disposed of");
    expect(() => detector.train({ data: folder })).toThrow("was disposed of");
    await expect(RFDETR.create("nano", { weights })).rejects.toThrow(
      `Expected weights of nano but ${weights} are those of tiny`,
    );
    const moved = join(folder, "moved.safetensors");
    copyFileSync(weights, moved);
    const late = await RFDETR.create("tiny", { weights: moved });
    rmSync(moved);
    await expect(late.predict(photos[0])).rejects.toMatchObject({ code: "ERR_CHECKPOINT" });
    copyFileSync(weights, moved);
    expect(await late.predict(photos[0], everything)).not.toEqual([]);
    await late.dispose();
  });

  it("finishes a prediction before its model is freed, or refuses it, whenever it is disposed of", async () => {
    const outcomes = new Set<string>();
    for (let ticks = 0; ticks < 24; ticks++) {
      const detector = await make();
      await detector.load();
      const found = detector.predict(photos[0], everything).then(
        (detections) => (detections.length > 0 ? "found" : "nothing"),
        (error: Error) => error.message,
      );
      for (let i = 0; i < ticks; i++) await null;
      const freed = detector.dispose();
      outcomes.add(await found);
      await freed;
    }
    expect([...outcomes].sort()).toEqual(["Expected a detector that is in use but this tiny was disposed of", "found"]);
  });

  it("names the image that cannot be read", async () => {
    await using detector = await make();
    await expect(detector.predict(join(folder, "none.jpg"))).rejects.toMatchObject({ code: "ERR_PICTURE_INPUT" });
    await expect(detector.predict("ftp://example.org/a.jpg")).rejects.toThrow("but received ftp://example.org/a.jpg");
    await expect(async () => await detector.predict(photos, { batch: 0 })).rejects.toThrow(
      'positive integer or "auto" for batch',
    );
  });
});
