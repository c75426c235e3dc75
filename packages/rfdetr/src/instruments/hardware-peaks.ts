// What the machine reaches on a large matrix product, by type and by number of threads.
import { type Precision, precisions } from "@rfdetr/amp";
import { type DType, getNumThreads, setNumThreads } from "@rfdetr/torch";
import { peakFlops } from "./bench-train.js";

/** What the machine reaches at most. */
export interface HardwarePeaks {
  /** 10⁹ operations a second of a 1024³ product in the type of each precision; float16 in the CPU's own kernels. */
  matmul: { dtype: DType; gflops: number }[];
  /** The same in `dtype` by threads; empty on a GPU. */
  threads: { threads: number; gflops: number }[];
}

const types: Record<Precision, DType> = { "32-true": "float32", "bf16-mixed": "bfloat16", "16-mixed": "float16" };
const billions = (rate: number): number => Number((rate / 1e9).toFixed(1));

/** Measures the products; the number of threads is as before afterwards. @param precision whose type the threads are measured in */
export function measurePeaks(device: string, precision: Precision): HardwarePeaks {
  const matmul = precisions.map((each) => ({ dtype: types[each], gflops: billions(peakFlops(each, device)) }));
  if (device !== "cpu") return { matmul, threads: [] };
  const before = getNumThreads();
  const counts: number[] = [];
  for (let threads = 1; threads < before; threads *= 2) counts.push(threads);
  try {
    const threads = [...counts, before].map((threads) => {
      setNumThreads(threads);
      return { threads, gflops: billions(peakFlops(precision, device)) };
    });
    return { matmul, threads };
  } finally {
    setNumThreads(before);
  }
}
