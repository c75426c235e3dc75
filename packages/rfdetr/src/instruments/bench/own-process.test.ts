import { describe, expect, it } from "vitest";
import type { InferBench } from "./bench-infer.js";
import { joinInferRounds } from "./bench-infer.js";
import { joinTrainRounds, type TrainBench } from "./bench-train.js";
import { inOwnProcess, inTurns } from "./own-process.js";

const asked = { model: "tiny", precision: "32-true", device: "cpu", iterations: 1, warmup: 1 } as const;

describe("a measurement in a process of its own", () => {
  it("has a peak memory that nothing before it counts in", async () => {
    const large = await inOwnProcess("infer", { ...asked, batch: 48 });
    const small = await inOwnProcess("infer", { ...asked, batch: 1 });
    expect(small).toMatchObject({ model: "tiny", precision: "32-true", batch: 1 });
    expect(small.peak_rss_bytes).toBeLessThan(large.peak_rss_bytes - 20 * 2 ** 20);
  });

  it("throws what the measurement throws", async () => {
    const model = "nan0";
    await expect(inOwnProcess("infer", { ...asked, batch: 1, model })).rejects.toMatchObject({
      name: "ModelConfigError",
      message: expect.stringContaining("nan0"),
    });
  });

  it("ends when it is told to", async () => {
    const stop = new AbortController();
    const measured = inOwnProcess("infer", { ...asked, batch: 1, iterations: 1e6 }, stop.signal);
    stop.abort();
    await expect(measured).rejects.toThrow("The process of a measurement ended with SIGTERM");
  });

  it("takes turns with the others", async () => {
    const turns: [at: number, round: number][] = [];
    const list = [1, 2].map((batch) => ({ ...asked, batch }));
    const rounds = await inTurns("infer", list, { rounds: 2, progress: (...turn) => void turns.push(turn) });
    expect(turns).toEqual([
      [0, 1],
      [1, 1],
      [0, 2],
      [1, 2],
    ]);
    expect(rounds.map((each) => each.map(({ batch }) => batch))).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });
});

describe("the figures of several processes", () => {
  it("are medians of their medians and the shortest times of all, and what is derived follows from these", () => {
    const of = (median: number, min: number, peak: number) =>
      ({
        batch: 4,
        milliseconds: { forward: { median, min }, predict: { median: 2 * median, min: 2 * min } },
        peak_rss_bytes: peak,
      }) as InferBench;
    expect(joinInferRounds([of(10, 9, 300), of(20, 8, 100), of(40, 30, 200)])).toMatchObject({
      milliseconds: { forward: { median: 20, min: 8 }, predict: { median: 40, min: 16 } },
      images_per_second: 200,
      peak_rss_bytes: 200,
    });
    const step = (median: number, peak: number) => {
      const part = { median, min: median };
      const seconds = { step: part, forward: part, loss: part, backward: part, optimizer: part };
      return { seconds, peak_flops: peak, flops_per_step: 100, mfu: 100 / median / peak } as TrainBench;
    };
    expect(joinTrainRounds([step(1, 200), step(3, 400)])).toMatchObject({
      seconds: { step: { median: 2, min: 1 }, optimizer: { median: 2, min: 1 } },
      peak_flops: 300,
      mfu: 100 / 2 / 300,
    });
  });
});
