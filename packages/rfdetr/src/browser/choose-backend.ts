// Chooses what computes: the first way that gives the golden results. Runtimes miss operators, or compute them wrongly
// on some machines, and only the goldens tell.
import { describeExport, type ExportedModel } from "../onnx/exported-model.js";
import { errorInWords, type GoldenError } from "../onnx/goldens.js";
import { type ModelFile, readModelFile } from "../onnx/model-file.js";
import { runGoldens } from "../onnx/run-batches.js";
import type { Backend, Runtime, Session } from "./backend.js";

/** How the file samples in deformable attention: with GridSample, or composed of gathers. */
export type SamplingForm = "file" | "gather form";

const forms: readonly SamplingForm[] = ["file", "gather form"];

/** One way that was tried. */
export interface Attempt {
  backend: Backend;
  form: SamplingForm;
  /** Why it was not taken; null for the one that was. */
  reason: string | null;
  /** How far it is from the goldens; null if the file has none, or if it did not run. */
  error: GoldenError | null;
}

/** What the self-check of a file found. */
export interface LoadReport {
  backend: Backend;
  form: SamplingForm;
  /** Of the file: `fp32`, `fp16`, … */
  precision: string;
  /** How far the results are from the golden ones that the file carries; null if it carries none. */
  error: GoldenError | null;
  /** Threads of WebAssembly; 1 on a GPU. */
  threads: number;
  /** All that was tried, with the reason why it was not taken. */
  attempts: readonly Attempt[];
}

/** The way that was taken. */
export interface Chosen {
  session: Session;
  model: ExportedModel;
  /** All that were tried, in their order; the last was taken. */
  attempts: Attempt[];
}

/** What is asked for. */
export interface ChooseOptions {
  /** `auto` (the default) tries WebGPU first. */
  backend?: Backend | "auto";
  classNames?: readonly string[];
  /** Called before each attempt. */
  trying?: (backend: Backend, form: SamplingForm) => void;
}

/**
 * Tries WebGPU, WebGPU with the gather form, WebAssembly.
 * @param file bytes of the exported file
 * @param gatherForm gives the bytes of the same detector without GridSample; null if there is none
 * @throws Error with all reasons if none gives the golden results
 */
export async function chooseBackend(
  file: Uint8Array,
  gatherForm: (() => Promise<Uint8Array>) | null,
  runtime: Runtime,
  { backend = "auto", classNames, trying }: ChooseOptions = {},
): Promise<Chosen> {
  const head = readModelFile(file);
  const backends: Backend[] = backend === "auto" ? ["webgpu", "wasm"] : [backend];
  const attempts: Attempt[] = [];
  for (const backend of backends) {
    const missing = await runtime.missing(backend);
    for (const form of backend === "webgpu" && gatherForm !== null ? forms : forms.slice(0, 1)) {
      if (missing !== null) {
        attempts.push({ backend, form, reason: missing, error: null });
        break;
      }
      trying?.(backend, form);
      const bytes = form === "file" || gatherForm === null ? file : await gatherForm();
      const { session, model, reason, error } = await tryWay(bytes, backend, runtime, head, classNames ?? null);
      attempts.push({ backend, form, reason, error });
      if (session !== null) return { session, model, attempts };
    }
  }
  const reasons = attempts.map(({ backend, form, reason }) => `${backendName(backend, form)}: ${reason}`);
  throw new Error(`Expected a way to run this file but none gives its results (${reasons.join("; ")})`);
}

/** The name of a backend and its sampling in sentences: `WebGPU with the gather form`. */
export function backendName(backend: Backend, form: SamplingForm): string {
  return `${backend === "webgpu" ? "WebGPU" : "WebAssembly"}${form === "file" ? "" : " with the gather form"}`;
}

type Tried =
  | { session: Session; model: ExportedModel; reason: null; error: GoldenError | null }
  | { session: null; model: null; reason: string; error: GoldenError | null };

async function tryWay(
  bytes: Uint8Array,
  backend: Backend,
  runtime: Runtime,
  head: ModelFile,
  classNames: readonly string[] | null,
): Promise<Tried> {
  let session: Session | null = null;
  try {
    session = await runtime.open(bytes, backend);
    const model = describeExport(head, session.inputShape, classNames);
    const error = await runGoldens(model, session.run);
    if (error === null || error.holds) return { session, model, reason: null, error };
    await session.release();
    return { session: null, model: null, reason: `its results are wrong, ${errorInWords(error)}`, error };
  } catch (fault) {
    await session?.release().catch(() => {});
    return { session: null, model: null, reason: firstLine(fault), error: null };
  }
}

function firstLine(fault: unknown): string {
  const [line] = (fault instanceof Error ? fault.message : String(fault)).split("\n");
  return line.length > 200 ? `${line.slice(0, 199)}…` : line;
}
