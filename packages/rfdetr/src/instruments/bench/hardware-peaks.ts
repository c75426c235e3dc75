// The speed of a large linear layer on this machine, by dtype and by number of threads.
import { type Precision, precisionsOf } from "@rfdetr/amp";
import { type DType, getNumThreads, noGrad, ops, randn, scope, setNumThreads, setTf32 } from "@rfdetr/torch";
import { measure, spread } from "../../support/statistics.js";

/** What the machine reaches at most. */
export interface HardwarePeaks {
  /**
   * 10⁹ operations a second of a linear layer in the dtype of each precision: of 4096³ on a GPU, of 1024³ on a CPU,
   * where float16 is 256³.
   */
  matmul: { dtype: DType; gflops: number }[];
  /** The same in the dtype of one precision, by number of threads, the last that of `matmul`; empty on a GPU. */
  threads: { threads: number; gflops: number }[];
}

const dtypes: Record<Precision, DType> = {
  "32-true": "float32",
  tf32: "float32",
  "bf16-mixed": "bfloat16",
  "16-mixed": "float16",
};
const billions = (rate: number): number => Number((rate / 1e9).toFixed(1));

/** Operations a second of a large linear layer in the dtype of a precision, on the kernels that the model uses. */
export function peakFlops(precision: Precision, device: string): number {
  const dtype = dtypes[precision];
  setTf32(precision === "tf32");
  return noGrad(() =>
    scope(() => {
      // Float16 products of some CPUs are a hundred times slower; a smaller product shows that as well. A GPU needs
      // larger ones, and several for each reading, which waits.
      const onCpu = device === "cpu";
      const side = !onCpu ? 4096 : dtype === "float16" ? 256 : 1024;
      const products = onCpu ? 1 : 16;
      const [a, b] = [randn([side, side], { device }).to(dtype), randn([side, side], { device }).to(dtype)];
      const seconds = measure(
        () =>
          scope(() => {
            for (let i = 1; i < products; i++) scope(() => void ops.linear(a, b));
            ops.linear(a, b).narrow(0, 0, 1).float().sum().item();
          }),
        10,
        3,
      );
      return (2 * products * side ** 3) / spread(seconds).min;
    }),
  );
}

/**
 * Measures the products. Afterwards the number of threads is as before.
 * @param precision the dtype of the measurement by number of threads
 */
export function measurePeaks(device: string, precision: Precision): HardwarePeaks {
  const matmul = precisionsOf(device).map((each) => ({
    dtype: dtypes[each],
    gflops: billions(peakFlops(each, device)),
  }));
  if (device !== "cpu") return { matmul, threads: [] };
  const before = getNumThreads();
  const counts: number[] = [];
  for (let threads = 1; threads < before; threads *= 2) counts.push(threads);
  try {
    const fewer = counts.map((threads) => {
      setNumThreads(threads);
      return { threads, gflops: billions(peakFlops(precision, device)) };
    });
    // Measured again, all threads would have another figure.
    const all = matmul.filter(({ dtype }) => dtype === dtypes[precision]);
    return { matmul, threads: [...fewer, ...all.map(({ gflops }) => ({ threads: before, gflops }))] };
  } finally {
    setNumThreads(before);
  }
}
