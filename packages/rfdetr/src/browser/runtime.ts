// onnxruntime-web: WebGPU where the browser has it, else WebAssembly with SIMD, and with threads where the page is
// isolated.
import type { InferenceSession } from "onnxruntime-web";
import type { Shape } from "../onnx/exported-model.js";
import { rawOutputs } from "../onnx/raw-outputs.js";
import type { Backend, Runtime } from "./backend.js";

type Ort = typeof import("onnxruntime-web");

/** How onnxruntime-web is found. */
export interface RuntimeOptions {
  /**
   * URL of a folder with the files of onnxruntime-web's `dist`, for pages without a bundler and for workers. Default:
   * the package `onnxruntime-web`, which a bundler finds.
   */
  runtimeFolder?: string | URL;
  /** Threads of WebAssembly; default: those of the machine, at most 8, and 1 where the page is not isolated. */
  threads?: number;
}

/** The runtime of this browser. */
export function webRuntime({ runtimeFolder, threads }: RuntimeOptions = {}): Runtime {
  const isolated = globalThis.crossOriginIsolated === true;
  const count = isolated ? (threads ?? Math.min(8, navigator.hardwareConcurrency)) : 1;
  const folder = runtimeFolder === undefined ? null : new URL(runtimeFolder, globalThis.location?.href).href;
  const modules = new Map<Backend, Promise<Ort>>();
  const moduleOf = (backend: Backend): Promise<Ort> => {
    const known = modules.get(backend) ?? importOrt(backend, folder, count);
    modules.set(backend, known);
    return known;
  };
  return {
    threads: count,
    missing: async (backend) => (backend === "wasm" ? null : missingGpu()),
    async open(file, backend) {
      const ort = await moduleOf(backend);
      const session = await ort.InferenceSession.create(file, { executionProviders: [backend], logSeverityLevel: 3 });
      return {
        inputShape: shapeOf(session.inputMetadata, "input"),
        labelsShape: shapeOf(session.outputMetadata, "labels"),
        async run(input, shape) {
          return rawOutputs(await session.run({ input: new ort.Tensor("float32", input, shape) }));
        },
        release: () => session.release(),
      };
    },
  };
}

/** The module for WebGPU is twice as large, since it can compute without a GPU as well. */
async function importOrt(backend: Backend, folder: string | null, threads: number): Promise<Ort> {
  const ort: Ort =
    folder === null
      ? await (backend === "webgpu" ? import("onnxruntime-web/webgpu") : import("onnxruntime-web/wasm"))
      : await import(/* @vite-ignore */ /* webpackIgnore: true */ new URL(`ort.${backend}.min.mjs`, folder).href);
  if (folder !== null) ort.env.wasm.wasmPaths = folder;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  return ort;
}

async function missingGpu(): Promise<string | null> {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<object | null> } };
  if (gpu === undefined)
    return globalThis.isSecureContext ? "this browser has no WebGPU" : "WebGPU needs a page from https or localhost";
  const adapter = await gpu.requestAdapter().catch(() => null);
  return adapter === null ? "the browser offers no GPU" : null;
}

function shapeOf(values: readonly InferenceSession.ValueMetadata[], name: string): Shape | undefined {
  const found = values.find((value) => value.name === name);
  return found?.isTensor ? found.shape : undefined;
}
