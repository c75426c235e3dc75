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
   * Instructions that this project's own kernels use: the widest that the CPU has, unless the variable `RFDETR_ISA`
   * (`baseline`, `avx2`, `avx512` or `amx`) hides them. `amx` are matrix units for bfloat16, beside AVX-512.
   */
  kernels: "baseline" | "avx2" | "avx512" | "amx";
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
/**
 * The state of the random generators that computing on a device draws from, uint8, for {@link setRngState}: the CPU's,
 * and that of the GPU if the device is one.
 */
export function getRngState(device = "cpu"): Tensor {
  return new Tensor(native.generatorState(device));
}
/**
 * Puts the generators of a device into a state that {@link getRngState} gave for it.
 * @throws Error when the state has too few bytes for this device
 */
export function setRngState(state: Tensor, device = "cpu"): void {
  native.setGeneratorState(device, state.handle);
}

/** What {@link memory} counts. */
export interface MemoryUse {
  /** Tensor handles alive on this thread, on all devices. */
  liveTensors: number;
  /**
   * Bytes of the process's tensors on the device, now and at the peak since the start or {@link resetPeakMemory}. On a
   * GPU they are what the caching allocator has given out.
   */
  liveBytes: number;
  peakBytes: number;
}

/**
 * The memory that tensors use now.
 * @param device `cpu` (the default) or a GPU, such as `cuda:0`
 */
export function memory(device = "cpu"): MemoryUse {
  const [liveTensors, liveBytes, peakBytes] = native.memory(device);
  return { liveTensors, liveBytes, peakBytes };
}
/** Lets `peakBytes` of {@link memory}, and `peakHeldBytes` of {@link deviceMemory}, start again from now. */
export function resetPeakMemory(device = "cpu"): void {
  native.resetPeak(device);
}
/** Gives memory that is cached for later tensors back to the system or the driver. @returns its bytes */
export function releaseCachedMemory(device = "cpu"): number {
  return native.releaseCached(device);
}

/** What {@link deviceMemory} tells, in bytes. */
export interface DeviceMemory {
  /** What the driver can still give, to any program, and all that the GPU has. */
  freeBytes: number;
  totalBytes: number;
  /** What libtorch holds in this process, with what it caches, now and at the peak. */
  heldBytes: number;
  peakHeldBytes: number;
}

/**
 * The memory of a GPU.
 * @param device such as `cuda:0`
 * @throws Error for a device that is no GPU
 */
export function deviceMemory(device: string): DeviceMemory {
  const [freeBytes, totalBytes, heldBytes, peakHeldBytes] = native.deviceMemory(device);
  return { freeBytes, totalBytes, heldBytes, peakHeldBytes };
}

/**
 * Sets whether products and convolutions of float32 tensors on an NVIDIA GPU round their operands to TF32 (10 bits
 * after the point) and sum in float32. As `torch.set_float32_matmul_precision("high")` with
 * `torch.backends.cudnn.allow_tf32`; libtorch starts with TF32 for convolutions only. The CPU ignores it.
 */
export function setTf32(on: boolean): void {
  native.setTf32(on);
}
/** Whether both products and convolutions use TF32 on an NVIDIA GPU. */
export function isTf32(): boolean {
  return native.isTf32();
}
