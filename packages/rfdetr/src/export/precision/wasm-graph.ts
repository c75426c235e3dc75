// Runs a graph in WebAssembly, as browsers without WebGPU do: onnxruntime-web in Node, on one thread.
import { readFileSync, statSync } from "node:fs";
import type { InferenceSession, TypedTensor } from "onnxruntime-web";
import type { RawOutputs } from "../../onnx/goldens.js";
import { toPlanes } from "../../onnx/pixels.js";
import { rawOutputs } from "../../onnx/raw-outputs.js";
import { webRuntimeFile } from "../../onnx/web-runtime.js";
import { imageDeviation, imageMean } from "../../support/image-statistics.js";
import type { Graph } from "../graph/graph.js";
import { writeOnnx } from "../write-onnx.js";

/** A graph for one image that is loaded. */
export class WasmGraph {
  private constructor(
    readonly session: InferenceSession,
    readonly tensor: (planes: Float32Array, shape: readonly number[]) => TypedTensor<"float32">,
    /** Of the file. */
    readonly bytes: number,
  ) {}

  /** @param path where to write its file */
  static async open(graph: Graph, path: string): Promise<WasmGraph> {
    writeOnnx(graph, path, { path: `${path}.data` }, { metadata: {}, version: "" });
    const ort = await import("onnxruntime-web/wasm");
    ort.env.logLevel = "error";
    ort.env.wasm.numThreads = 1;
    // Node fetches no files.
    ort.env.wasm.wasmBinary = readFileSync(webRuntimeFile()).buffer;
    const options = { executionProviders: ["wasm"], logSeverityLevel: 3 } as const;
    const session = await ort.InferenceSession.create(readFileSync(path), options);
    return new WasmGraph(session, (planes, shape) => new ort.Tensor("float32", planes, shape), statSync(path).size);
  }

  /** @param pixels `[height, width, 3]`: bytes, or float32 on the scale 0 to 1 */
  async run(
    pixels: Uint8Array | Float32Array,
    [height, width]: readonly [height: number, width: number],
  ): Promise<RawOutputs> {
    const planes = toPlanes([pixels], { mean: [...imageMean], std: [...imageDeviation] });
    return rawOutputs(await this.session.run({ input: this.tensor(planes, [1, 3, height, width]) }));
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}
