// Runs an exported file in Node, through onnxruntime-node and without libtorch.
import type { InferenceSession, TensorConstructor } from "onnxruntime-node";
import { whyNotFinite } from "../eval/finite-detections.js";
import type { ScoredBoxes } from "../model/images/postprocess.js";
import { NumericsError, UsageError } from "../support/errors.js";
import { reasonOf } from "../support/files/system-error.js";
import { checkOptions, count, differentTexts } from "../support/options.js";
import { areUsable, selectBoxes } from "./detections.js";
import { describeExport, type ExportedModel, namesOf } from "./exported-model.js";
import { errorInWords, type RawOutputs } from "./goldens.js";
import { installRuntime, nodeRuntime } from "./node-runtime.js";
import { readHead, unusable } from "./onnx-head.js";
import { rawOutputs } from "./raw-outputs.js";
import { type RunOnce, runBatches, runGoldens } from "./run-batches.js";

/**
 * An exported file that is loaded, on the thread that calls it: onnxruntime computes on that thread.
 * @example
 * import { OnnxModel } from "rfdetr/onnx";
 * const model = await OnnxModel.open("bird.onnx");
 * console.log(model.classNames, model.description.resolution);
 * await model.release();
 */
export class OnnxModel {
  readonly #session: InferenceSession;
  readonly #Tensor: TensorConstructor;
  readonly #once: RunOnce = async (input, shape) =>
    rawOutputs(await this.#session.run({ input: new this.#Tensor("float32", input, shape) }));

  private constructor(
    readonly path: string,
    readonly description: ExportedModel,
    /** By class index. */
    readonly classNames: readonly string[],
    session: InferenceSession,
    Tensor: TensorConstructor,
  ) {
    this.#session = session;
    this.#Tensor = Tensor;
  }

  /**
   * Loads a file of this program, or of the Python package. The goldens that a file carries are run.
   * @param options names of the classes, where the file has none or others are wanted; threads, default one for each
   * core
   * @throws UsageError if onnxruntime-node is not installed
   * @throws CheckpointError if the file cannot be read, is no detector, or does not give its goldens
   */
  static async open(
    path: string,
    options: { classNames?: readonly string[]; threads?: number } = {},
  ): Promise<OnnxModel> {
    checkOptions("OnnxModel.open", options, { classNames: differentTexts, threads: count });
    const { InferenceSession: Session, Tensor } = await runtime(path);
    try {
      const file = readHead(path);
      const session = await Session.create(path, {
        ...(options.threads === undefined ? {} : { intraOpNumThreads: options.threads }),
        logSeverityLevel: 3,
      }).catch((cause: unknown) => {
        throw new Error(withoutSource(reasonOf(cause)), { cause });
      });
      const shapeOf = (metadata: readonly InferenceSession.ValueMetadata[], name: string) => {
        const found = metadata.find((each) => each.name === name);
        return found?.isTensor ? found.shape : undefined;
      };
      const labels = shapeOf(session.outputMetadata, "labels");
      if (labels === undefined || shapeOf(session.outputMetadata, "dets") === undefined)
        throw new Error("Expected outputs of the names dets and labels but the file has others");
      const described = describeExport(file, shapeOf(session.inputMetadata, "input"), options.classNames ?? null);
      const description = { ...described, masks: described.masks ?? sizeOf(shapeOf(session.outputMetadata, "masks")) };
      const rows = labels[2];
      if (description.classNames === null && typeof rows !== "number")
        throw new Error("Expected the number of classes in the metadata or in the shape of labels but neither has it");
      const names = namesOf(description, typeof rows === "number" ? rows : null);
      const model = new OnnxModel(path, description, names, session, Tensor);
      await model.#check();
      return model;
    } catch (cause) {
      throw unusable(path, cause);
    }
  }

  /**
   * Runs images of the model's size.
   * @param images each `[height, width, 3]`: bytes, or float32 on the scale 0 to 1
   * @returns raw outputs of each image
   */
  async run(images: readonly (Uint8Array | Float32Array)[]): Promise<RawOutputs[]> {
    return runBatches(this.description, images, async (input, shape) => {
      try {
        return await this.#once(input, shape);
      } catch (cause) {
        throw unusable(this.path, cause);
      }
    });
  }

  /** A wrong box looks like any other. @throws Error if the file does not give the results that it carries */
  async #check(): Promise<void> {
    const error = await runGoldens(this.description, this.#once);
    if (error === null || error.holds) return;
    await this.release();
    throw new Error(
      `Expected the results of its export but it gives others (${errorInWords(error)}): it is damaged, or onnxruntime ` +
        "computes it wrongly on this machine. Export it again",
    );
  }

  /**
   * Detects objects in images of the model's size.
   * @param sizes of the original images in pixels
   * @param leastScore only detections with a score above it get a mask, if the model has them; default: all
   * @returns for each image the `numSelect` best detections, boxes in pixels of the original
   * @throws NumericsError if the results are not finite
   */
  async detect(
    images: readonly (Uint8Array | Float32Array)[],
    sizes: readonly { width: number; height: number }[],
    leastScore?: number,
  ): Promise<(ScoredBoxes & { rows: number })[]> {
    return (await this.run(images)).map((outputs, i) => {
      const found = selectBoxes(outputs, sizes[i], this.description.numSelect, leastScore);
      if (!areUsable(outputs, found)) {
        const { cause, hint } = whyNotFinite(this.description.precision);
        throw new NumericsError(
          `Expected finite scores and boxes but ${this.path} gives NaN or infinity: ${cause}`,
          hint === undefined ? {} : { hint },
        );
      }
      const rows = outputs.logits.length / (outputs.boxes.length / 4);
      return { ...found, rows };
    });
  }

  /** Frees the memory. The model cannot be used afterwards. */
  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** What onnxruntime says, without the places in its source; one clause for an operator set that it does not know. */
function withoutSource(reason: string): string {
  const [, opset, newest] = /Opset (\d+) is under development.* till opset (\d+)/s.exec(reason) ?? [];
  if (opset !== undefined) return `onnxruntime cannot read its opset, ${opset}: the newest that it knows is ${newest}`;
  return reason.replace(/\/\S+\.(?:cc|h):\d+ (?:.*?\) (?=[A-Z]))?/gs, "");
}

/** Height and width of the masks, where the shape of the output states them. */
function sizeOf(shape: readonly (number | string)[] | undefined): [number, number] | null {
  const [height, width] = shape?.slice(2) ?? [];
  return typeof height === "number" && typeof width === "number" ? [height, width] : null;
}

/** @throws UsageError where it is not installed */
async function runtime(path: string): Promise<typeof import("onnxruntime-node")> {
  try {
    return await nodeRuntime();
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new UsageError(
      `Expected the package onnxruntime-node to run ${path} but it is not installed: run ${installRuntime}`,
      { cause },
    );
  }
}
