// What can compute in a browser.
import type { Shape } from "../onnx/exported-model.js";
import type { RunOnce } from "../onnx/run-batches.js";

/** What computes. */
export type Backend = "webgpu" | "wasm";

/** A file that is loaded. */
export interface Session {
  inputShape: Shape | undefined;
  labelsShape: Shape | undefined;
  run: RunOnce;
  release(): Promise<void>;
}

/** Opens files. */
export interface Runtime {
  /** Why a backend cannot be used here; null if it can be tried. */
  missing(backend: Backend): Promise<string | null>;
  /** Threads of WebAssembly. */
  threads: number;
  open(file: Uint8Array, backend: Backend): Promise<Session>;
}
