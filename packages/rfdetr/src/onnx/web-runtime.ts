// onnxruntime-web, which is an optional dependency: the page of a detector ships it, and Node can run it too.
import { fileURLToPath } from "node:url";

const webAssembly = "onnxruntime-web/ort-wasm-simd-threaded.wasm";

/** Whether it is installed. */
export function hasWebRuntime(): boolean {
  try {
    import.meta.resolve(webAssembly);
    return true;
  } catch {
    return false;
  }
}

/** Its WebAssembly file; all its files are in one folder. @throws the error of Node where it is not installed */
export const webRuntimeFile = (): string => fileURLToPath(import.meta.resolve(webAssembly));
