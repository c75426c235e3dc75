import { getNumThreads } from "@rfdetr/torch";
import { expect, it } from "vitest";
import { measurePeaks } from "./hardware-peaks.js";

it("products on all threads have one figure, in the rows of dtypes and in those of threads", () => {
  const before = getNumThreads();
  const { matmul, threads } = measurePeaks("cpu", "bf16-mixed");
  expect(threads.at(-1)).toEqual({ threads: before, gflops: matmul.find(({ dtype }) => dtype === "bfloat16")?.gflops });
  expect(threads.map((row) => row.threads)).toEqual([...new Set(threads.map((row) => row.threads))]);
  expect(getNumThreads()).toBe(before);
});
