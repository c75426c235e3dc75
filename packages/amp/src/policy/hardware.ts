// Reads those properties of the machine that the choice of a precision needs.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { engine, ops } from "@rfdetr/torch";

/** The properties of a device that decide on its precision. */
export interface Hardware {
  /** The kind of device. */
  device: "cpu" | "cuda" | "mps";
  /** The model name that the operating system or the driver reports. */
  name: string;
  /** CPU threads that this process can use. */
  cores: number;
  /** Bytes of main memory. */
  memoryBytes: number;
  /** Whether matrix products in bfloat16 run natively. */
  bf16: boolean;
  /** Whether `@rfdetr/torch` has own kernels for products on this device: they take bfloat16 as fast as float32. */
  kernels: boolean;
  /** Whether matrix products in float16 run natively. */
  fp16: boolean;
  /**
   * Relevant instruction-set extensions of a CPU, such as avx512_bf16; the compute capability of a CUDA GPU, such as
   * sm_90; empty for an Apple GPU.
   */
  features: string[];
  /** The instruction set that libtorch chose for its CPU kernels, such as AVX512. */
  capability: string;
}

const interesting = [
  "avx2",
  "avx512f",
  "avx512_bf16",
  "avx512_fp16",
  "avx512_vnni",
  "amx_tile",
  "amx_bf16",
  "amx_fp16",
  "bf16",
  "asimdhp",
  "i8mm",
  "sve",
];

/**
 * The feature flags of the first processor in the text of /proc/cpuinfo (`flags` on x86, `Features` on ARM).
 * @internal for tests
 */
export function parseCpuFlags(cpuinfo: string): string[] {
  const [, flags] = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo) ?? [];
  return flags === undefined ? [] : flags.trim().split(/\s+/);
}

/**
 * Whether a CPU with these flags has matrix units for bfloat16 and for float16.
 * @internal for tests
 */
export function cpuMatrixUnits(flags: readonly string[]): { bf16: boolean; fp16: boolean } {
  const has = (name: string): boolean => flags.includes(name);
  return {
    bf16: has("avx512_bf16") || has("amx_bf16") || (has("bf16") && has("i8mm")),
    fp16: has("avx512_fp16") || has("amx_fp16"),
  };
}

function cpuFlags(): string[] {
  try {
    return parseCpuFlags(readFileSync("/proc/cpuinfo", "utf8"));
  } catch {
    return []; // not Linux: the flags are unknown
  }
}

/** The name and the compute capability of a GPU, as nvidia-smi reports them; null where it reports nothing. */
function gpu(index: string): { name: string; capability: number } | null {
  try {
    const output = execFileSync("nvidia-smi", ["--query-gpu=name,compute_cap", "--format=csv,noheader", "-i", index], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 10_000,
    });
    const [line = ""] = output.trim().split("\n");
    const [name = "", capability] = line.split(/,\s*/);
    return { name, capability: Number(capability) };
  } catch {
    return null;
  }
}

const read = new Map<string, Hardware>();

/**
 * Reads the hardware of a device, once for each device.
 * @param device such as `cpu` or `cuda:0`
 */
export function readHardware(device = "cpu"): Hardware {
  let found = read.get(device);
  if (found === undefined) {
    found = readNow(device);
    read.set(device, found);
  }
  return found;
}

function readNow(device: string): Hardware {
  const [kind, index = "0"] = device.split(":") as [Hardware["device"], string?];
  const flags = cpuFlags();
  const common = {
    device: kind,
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    capability: engine().capability,
  };
  if (kind === "cpu")
    return {
      ...common,
      name: cpus()[0]?.model.trim() || "unknown CPU",
      ...cpuMatrixUnits(flags),
      kernels: ops.linearHasKernels("bfloat16"),
      features: interesting.filter((name) => flags.includes(name)),
    };
  if (kind === "mps") return { ...common, name: "Apple GPU", bf16: false, fp16: true, kernels: false, features: [] };
  const card = gpu(index);
  // GPUs have bfloat16 units from compute capability 8.0 (Ampere) on. Older ones emulate bfloat16 slowly.
  return {
    ...common,
    name: card?.name ?? device,
    bf16: (card?.capability ?? 0) >= 8,
    fp16: true,
    kernels: false,
    features: card === null ? [] : [`sm_${Math.round(card.capability * 10)}`],
  };
}
