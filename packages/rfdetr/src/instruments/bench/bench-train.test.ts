import { memory } from "@rfdetr/torch";
import { expect, it } from "vitest";
import { benchTrain } from "./bench-train.js";

it("leaves no tensor behind, so that a second measurement has a peak of its own", () => {
  const bench = () =>
    benchTrain({ model: "tiny", precision: "32-true", device: "cpu", batch: 1, steps: 1, warmup: 1, boxes: 2 });
  const first = bench().peak_tensor_bytes;
  const live = memory("cpu").liveBytes;
  expect(bench().peak_tensor_bytes).toBe(first);
  expect(memory("cpu").liveBytes).toBe(live);
});
