// What the machine can do, as far as choosing a precision needs it.
import { readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { engine } from "@rfdetr/torch";

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
  /** Instruction-set extensions that matter here, such as avx512_bf16. */
  features: string[];
}

const interesting = ["avx2", "avx512f", "avx512_bf16", "avx512_fp16", "avx512_vnni", "amx_tile", "amx_bf16", "amx_fp16", "bf16", "asimdhp", "i8mm", "sve"];

function cpuFlags(): Set<string> {
  try {
    const line = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"));
    return new Set(line?.[1].split(/\s+/));
  } catch {
    return new Set();
  }
}

/** Reads the machine that `device` (such as `cpu` or `cuda:0`) names. */
export function readHardware(device = "cpu"): Hardware {
  const [kind] = device.split(":") as [Hardware["device"]];
  const flags = cpuFlags();
  const features = interesting.filter((name) => flags.has(name));
  const own = engine();
  const cpu = kind === "cpu";
  return {
    device: kind,
    name: cpu ? (cpus()[0]?.model ?? "unknown CPU") : device,
    cores: cpus().length,
    memoryBytes: totalmem(),
    bf16: cpu ? flags.has("avx512_bf16") || flags.has("amx_bf16") || (flags.has("bf16") && flags.has("i8mm")) : kind === "cuda" && own.cuda,
    fp16: cpu ? flags.has("avx512_fp16") || flags.has("amx_fp16") : true,
    features,
  };
}
