import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { PictureError, UsageError } from "../support/errors.js";
import { type DetectBatch, Predictions, type PredictManyOptions, predictOne } from "./predictions.js";

const found = (width: number) => ({ width, height: 1, detections: [] });
/** Finds nothing in images whose path is their width; a path that is no number cannot be read. Records its batches. */
function recorder(batches: string[]): DetectBatch {
  return async (images) => {
    batches.push(images.join());
    return images.map((image) =>
      Number(image) > 0 ? found(Number(image)) : new PictureError("ERR_PICTURE_INPUT", `no ${image}`),
    );
  };
}

async function run(sources: Iterable<string> | AsyncIterable<string>, options: PredictManyOptions = {}) {
  const batches: string[] = [];
  const items: string[] = [];
  let error: unknown = null;
  try {
    for await (const { source, width } of new Predictions(sources, options, recorder(batches)))
      items.push(`${source}:${width}`);
  } catch (thrown) {
    error = thrown;
  }
  return { batches, items, error };
}

describe("predictions for many images", () => {
  it("come in the order of the images, one at a time or in batches", async () => {
    expect(await run(["1", "2", "3"])).toEqual({ batches: ["1", "2", "3"], items: ["1:1", "2:2", "3:3"], error: null });
    const { batches, items } = await run(["1", "2", "3", "4", "5"], { batch: 2 });
    expect(batches).toEqual(["1,2", "3,4", "5"]);
    expect(items.length).toBe(5);
    expect((await run([])).batches).toEqual([]);
  });

  it("take images from a generator no further ahead than a batch", async () => {
    const drawn: number[] = [];
    async function* sources() {
      for (let i = 1; i <= 9; i++) {
        drawn.push(i);
        yield String(i);
      }
    }
    for await (const { width } of new Predictions(sources(), { batch: 2 }, recorder([]))) {
      if (width === 1) expect(drawn.length).toBeLessThanOrEqual(6);
      if (width === 3) break;
    }
    expect(drawn.length).toBeLessThan(9);
  });

  it("are of the list as it was given, whatever becomes of it", async () => {
    const list = ["1", "2"];
    const predictions = new Predictions(list, {}, recorder([]));
    list.length = 0;
    expect(await predictions).toEqual([[], []]);
  });

  it("are a list when awaited, which is computed once", async () => {
    const batches: string[] = [];
    const predictions = new Predictions(["1", "2"], {}, recorder(batches));
    expect(batches).toEqual([]);
    expect(await predictions).toEqual([[], []]);
    expect(await predictions).toEqual([[], []]);
    expect(batches).toEqual(["1", "2"]);
  });

  it("end with the first image that cannot be read, unless onError takes it", async () => {
    const { items, error } = await run(["1", "x", "3"], { batch: 3 });
    expect(items).toEqual(["1:1"]);
    expect(error).toMatchObject({ code: "ERR_PICTURE_INPUT", message: "no x" });

    const bad: string[] = [];
    const onError: PredictManyOptions["onError"] = (fault, source) => void bad.push(`${source}: ${fault.message}`);
    expect((await run(["1", "x", "3", "s3://x/y.jpg"], { batch: 3, onError })).items).toEqual(["1:1", "3:3"]);
    expect(bad).toEqual(["x: no x", expect.stringContaining("received s3://x/y.jpg")]);
    expect(await new Predictions(["1", "x"], { onError }, recorder([]))).toEqual([[], []]);
  });

  it("have a place for each image, with its error, where errors are returned", async () => {
    const options: PredictManyOptions = { batch: 2, onError: "return" };
    const results: unknown[] = [];
    for await (const result of new Predictions(["1", "x", "3"], options, recorder([]))) results.push(result);
    expect(results).toEqual([
      { source: "1", ...found(1) },
      { source: "x", width: 0, height: 0, detections: [], error: expect.objectContaining({ message: "no x" }) },
      { source: "3", ...found(3) },
    ]);
    await expect((async () => await new Predictions(["1"], options, recorder([])))()).rejects.toThrow(UsageError);
  });

  it("drop what was sent ahead when their iteration is left", async () => {
    const signals: (AbortSignal | undefined)[] = [];
    const detect: DetectBatch = async (images, _, signal) => {
      signals.push(signal);
      return images.map(() => found(1));
    };
    for await (const _ of new Predictions(["1", "2", "3"], {}, detect)) break;
    expect(signals.length).toBeGreaterThan(0);
    expect(signals.every((signal) => signal?.aborted)).toBe(true);
  });

  it("stop when their signal is aborted, even while an image is waited for, and leave no listener", async () => {
    const stop = new AbortController();
    const never: DetectBatch = () => new Promise(() => {});
    const waiting = new Predictions(["1"], { signal: stop.signal }, never);
    const alone = predictOne("1", { signal: stop.signal }, never);
    setTimeout(() => stop.abort(new Error("enough")), 1);
    await expect(waiting).rejects.toThrow("enough");
    await expect(alone).rejects.toThrow("enough");
    expect((await run(["1"], { signal: stop.signal })).error).toEqual(new Error("enough"));

    const { signal } = new AbortController();
    await run(["1", "2", "3"], { signal });
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});
