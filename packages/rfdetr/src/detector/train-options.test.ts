// What a call of train takes beside settings.
import { describe, expect, it, vi } from "vitest";
import type { TrainCallbacks } from "../run/callbacks/train-callbacks.js";
import { RFDETR } from "./detector.js";
import type { DetectorTrainOptions } from "./train.js";

const started = vi.hoisted(() => vi.fn());
vi.mock("../report/reported-run.js", () => ({ startReported: started }));

describe("the options of train", () => {
  it("take the folder of the run by the name of the command too, once", async () => {
    const detector = await RFDETR.create("tiny", { weights: "none" });
    detector.train({ data: "birds", out: "runs/one" });
    expect(started.mock.lastCall?.[0]).toMatchObject({ datasetDir: "birds", outputDir: "runs/one" });
    detector.train({ data: "birds", outputDir: "runs/two" });
    expect(started.mock.lastCall?.[0]).toMatchObject({ outputDir: "runs/two" });
    expect(() => detector.train({ data: "birds", out: "a", outputDir: "b" })).toThrow(
      "Expected the folder of the run once for train but received out and outputDir: leave one out",
    );
    await detector.dispose();
  });

  it("refuse callbacks themselves, in the types and in words", async () => {
    const callbacks: TrainCallbacks = { onStep: () => undefined };
    // @ts-expect-error the training runs in another thread
    const options: DetectorTrainOptions = { data: "birds", callbacks };
    const hint: Extract<DetectorTrainOptions["callbacks"], { onStep?: unknown }>["onStep"] =
      "Callbacks run in the thread that trains: give the path or file: URL of the module that exports them";
    expect(hint).toContain("give the path or file: URL of the module");
    const detector = await RFDETR.create("tiny", { weights: "none" });
    expect(() => detector.train(options)).toThrow(
      /^Expected the path or file: URL of a module that exports callbacks for callbacks/,
    );
    await detector.dispose();
  });
});
