// What the machine can do, as far as choosing a precision needs it.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { engine } from "@rfdetr/torch";

/** What decides about precision on a device. */
export interface Hardware {
  device: "cpu" | "cuda" | "mps";
  /** Model name as the system tells it. */
  name: string;
  cores: number;
  memoryBytes: number;
  /** Matrix products in bfloat16 run natively. */
  bf16: boolean;
  /** Matrix products in float16 run natively. */
  fp16: boolean;
  /**
   * Instruction-set extensions that matter here, such as avx512_bf16; on CUDA the compute capability, such as sm_90.
   */
  features: string[];
  /** What libtorch's CPU kernels were chosen for, such as AVX512. */
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
 * Feature flags of the first processor in the text of /proc/cpuinfo (`flags` on x86, `Features` on ARM).
 * @internal for tests
 */
export function parseCpuFlags(cpuinfo: string): string[] {
  const [, flags] = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo) ?? [];
  return flags === undefined ? [] : flags.trim().split(/\s+/);
}

/**
 * Which half types the matrix units of a CPU with these flags multiply.
 * @internal for tests
 */
export function cpuHalfTypes(flags: readonly string[]): { bf16: boolean; fp16: boolean } {
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
    return []; // not Linux: nothing is claimed
  }
}

/** Name and compute capability of a GPU, as the driver's own tool tells them; null where it cannot be asked. */
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

/** Reads the machine that `device` (such as `cpu` or `cuda:0`) names; once per device. */
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
      ...cpuHalfTypes(flags),
      features: interesting.filter((name) => flags.includes(name)),
    };
  if (kind === "mps") return { ...common, name: "Apple GPU", bf16: false, fp16: true, features: [] };
  const card = gpu(index);
  // Compute capability 8.0 (Ampere) brought bfloat16 units; older cards emulate them slowly.
  return {
    ...common,
    name: card?.name ?? device,
    bf16: (card?.capability ?? 0) >= 8,
    fp16: true,
    features: card === null ? [] : [`sm_${Math.round(card.capability * 10)}`],
  };
}
