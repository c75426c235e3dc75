// The programs that are compared, each started in a fresh process: this one, the Python package, OpenVINO, onnxruntime.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { UsageError } from "../../support/errors.js";
import { endWithThis, output } from "../../support/machine/children.js";
import { spinCount } from "../../support/machine/openmp.js";

/** Programs that this one can be measured beside. */
export const peers = ["python", "openvino", "onnxruntime"] as const;
/** A program of {@link peers}. */
export type Peer = (typeof peers)[number];

/** Variants that are compared: those of the Python package that are not superseded. */
export const comparedModels = [
  ...["nano", "small", "medium", "large"],
  ...["seg-preview", "seg-nano", "seg-small", "seg-medium", "seg-large", "seg-xlarge", "seg-2xlarge"],
] as const;

/** What the compared programs are asked for. */
export interface Work {
  what: "train" | "infer";
  model: string;
  batch: number;
  precision: "32-true" | "bf16-mixed";
  steps: number;
  warmup: number;
}

/** Where the other programs are, and what they may use. */
export interface Surroundings {
  /** An interpreter that has the package, and OpenVINO and onnxruntime where they are measured. */
  python: string;
  /** The ONNX file for the batch of the work; unused by this program and by the package. */
  onnx: string;
  /** Instruction set that is the highest that each program may use. */
  isa?: "avx2";
}

/** What a program prints. */
export interface Printed {
  seconds?: { step: { median: number } };
  milliseconds?: { forward: { median: number }; predict?: { median: number } };
  peak_rss_bytes: number;
  /** Why the precision does not run in this program on this CPU. */
  unavailable?: string;
}

const ourCommand = fileURLToPath(new URL("../../../bin/rfdetr.mjs", import.meta.url));
const packageScript = fileURLToPath(new URL("../../../python/python_package.py", import.meta.url));
const onnxScript = fileURLToPath(new URL("../../../python/onnx_runtimes.py", import.meta.url));

/** Keeps libtorch, oneDNN, MKL and OpenVINO, which contains oneDNN, from AVX-512. */
const avx2Only = { ATEN_CPU_CAPABILITY: "avx2", ONEDNN_MAX_CPU_ISA: "AVX2", MKL_ENABLE_INSTRUCTIONS: "AVX2" };

/** Runs one program on the work. @throws UsageError with the last line of the program if it fails */
export async function measureProgram(
  program: "rfdetr" | Peer,
  work: Work,
  { python, onnx, isa }: Surroundings,
): Promise<Printed> {
  const { what, model, batch, precision, steps, warmup } = work;
  const counts = ["--batch", batch, "--precision", precision, "--steps", steps, "--warmup", warmup].map(String);
  const limits = isa === undefined ? {} : avx2Only;
  if (program === "rfdetr") {
    const own = isa === undefined ? {} : { RFDETR_ISA: isa };
    // The others run on the CPU, also where there is a GPU.
    const args = [ourCommand, "bench", what, "--model", model, "--device", "cpu", ...counts, "--json"];
    return printed(process.execPath, args, { ...process.env, ...limits, ...own });
  }
  const env = { ...peerEnvironment(), ...limits };
  if (program === "python") return printed(python, [packageScript, what, "--model", model, ...counts], env);
  if (program === "onnxruntime" && isa !== undefined)
    return { unavailable: "onnxruntime takes no limit on instruction sets", peak_rss_bytes: 0 };
  return printed(python, [onnxScript, program, "--file", onnx, ...counts], env);
}

/** Writes the Python package's ONNX file of a model with random weights. @throws UsageError if that fails */
export async function writeOnnx(python: string, model: string, batch: number, file: string): Promise<void> {
  await printed(python, [onnxScript, "export", "--model", model, "--batch", String(batch), "--file", file]);
}

/** Runs `body` beside another process that keeps one core busy. */
export async function besideBusyProcess<T>(body: () => Promise<T>): Promise<T> {
  const busy = spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" });
  endWithThis(busy);
  try {
    return await body();
  } finally {
    busy.kill("SIGKILL");
  }
}

/**
 * The environment of the other programs: as their users have it, without the waiting policy that this program sets for
 * itself.
 */
function peerEnvironment(): NodeJS.ProcessEnv {
  const { GOMP_SPINCOUNT, ...others } = process.env;
  return GOMP_SPINCOUNT === undefined || GOMP_SPINCOUNT === spinCount ? others : { ...others, GOMP_SPINCOUNT };
}

/** The last line of a program's output, parsed. */
async function printed(program: string, args: string[], env: NodeJS.ProcessEnv = process.env): Promise<Printed> {
  try {
    const stdout = await output(program, args, { env, maxBuffer: 1 << 26 });
    return JSON.parse(stdout.trim().split("\n").at(-1) as string);
  } catch (error) {
    const { stderr = "", message } = error as { stderr?: string; message: string };
    const said = stderr.trim().split("\n").at(-1) || message;
    throw new UsageError(`${program} ${args.join(" ")} failed: ${said}`, { cause: error });
  }
}
