// The engine as a whole: version, threads, random numbers, memory.
import { native, threadsReason } from "./native.js";
import { Tensor } from "./tensor.js";

/** What {@link engine} says about this build of libtorch. */
export interface Engine {
  /** Version of libtorch, such as `2.15.0`. */
  version: string;
  /** Instruction set that libtorch's kernels were chosen for, such as `AVX512`. */
  capability: string;
  /**
   * Vector instructions that this project's own kernels use: the widest that the CPU has, unless the variable
   * `RFDETR_ISA` (`baseline`, `avx2` or `avx512`) hides them.
   */
  kernels: "baseline" | "avx2" | "avx512";
  /** Whether it sees a GPU. */
  cuda: boolean;
  /** What decides the number of threads until {@link setNumThreads}: a variable, a quota, or the cores. */
  threadsReason: string;
}

/** Facts about the libtorch that is loaded. */
export function engine(): Engine {
  return {
    version: native.engineVersion(),
    capability: native.capability(),
    kernels: native.kernelIsa(),
    cuda: native.hasCuda(),
    threadsReason,
  };
}

/** Sets the threads that one operator may use. The default is one for each core that the process may use. */
export function setNumThreads(threads: number): void {
  native.setThreads(threads);
}
/** Threads that one operator may use now. */
export function getNumThreads(): number {
  return native.getThreads();
}

/** Seeds the default random generator of every device. */
export function manualSeed(seed: number): void {
  native.manualSeed(seed);
}
/** The state of a device's default generator, uint8, for {@link setRngState}. */
export function getRngState(device = "cpu"): Tensor {
  return new Tensor(native.generatorState(device));
}
/** Puts a device's default generator into a state that {@link getRngState} gave. */
export function setRngState(state: Tensor, device = "cpu"): void {
  native.setGeneratorState(device, state.handle);
}

/** What {@link memory} counts. */
export interface MemoryUse {
  /** Tensor handles alive on this thread. */
  liveTensors: number;
  /** Bytes of CPU tensor memory of the process, now and at the peak since the start or {@link resetPeakMemory}. */
  liveBytes: number;
  peakBytes: number;
}

/** The memory that tensors use now. */
export function memory(): MemoryUse {
  const [liveTensors, liveBytes, peakBytes] = native.memory();
  return { liveTensors, liveBytes, peakBytes };
}
/** Lets `peakBytes` of {@link memory} start again from now. */
export function resetPeakMemory(): void {
  native.resetPeak();
}
/** Gives memory that is cached for later tensors back to the system. @returns its bytes */
export function releaseCachedMemory(): number {
  return native.releaseCached();
}
