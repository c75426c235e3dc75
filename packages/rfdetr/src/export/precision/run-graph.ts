// Runs a graph in onnxruntime on images, one by one, and reads values inside it.
import { statSync } from "node:fs";
import type { InferenceSession, TensorConstructor } from "onnxruntime-node";
import type { RawOutputs } from "../../onnx/goldens.js";
import { nodeRuntime } from "../../onnx/node-runtime.js";
import { toPlanes } from "../../onnx/pixels.js";
import { rawOutputs } from "../../onnx/raw-outputs.js";
import { imageDeviation, imageMean } from "../../support/image-statistics.js";
import type { Graph, Value } from "../graph/graph.js";
import { writeOnnx } from "../write-onnx.js";

/** A graph for one image that is loaded. */
export class RunningGraph {
  private constructor(
    readonly session: InferenceSession,
    readonly also: readonly Value[],
    readonly Tensor: TensorConstructor,
    /** Of the file. */
    readonly bytes: number,
  ) {}

  /**
   * @param path where to write its file
   * @param also values to read, float32
   */
  static async open(graph: Graph, path: string, also: readonly Value[] = []): Promise<RunningGraph> {
    writeOnnx(graph, path, { path: `${path}.data` }, { metadata: {}, version: "", also });
    const { InferenceSession: Session, Tensor } = await nodeRuntime();
    const session = await Session.create(path, { logSeverityLevel: 3 });
    return new RunningGraph(session, also, Tensor, statSync(path).size);
  }

  /**
   * @param pixels `[height, width, 3]`: bytes, or float32 on the scale 0 to 1
   * @returns the outputs, and the elements of the values to read, in their order
   */
  async run(
    pixels: Uint8Array | Float32Array,
    [height, width]: readonly [height: number, width: number],
  ): Promise<RawOutputs & { values: Float32Array[] }> {
    const planes = toPlanes([pixels], { mean: [...imageMean], std: [...imageDeviation] });
    const outputs = await this.session.run({ input: new this.Tensor("float32", planes, [1, 3, height, width]) });
    const values = this.also.map(({ name }) => outputs[name].data as Float32Array);
    return { ...rawOutputs(outputs), values };
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}
