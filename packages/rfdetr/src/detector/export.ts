// The weights of a detector as an ONNX file.

import type { GivenData } from "../data/custom/data-path.js";
import type { Split } from "../data/index.js";
import type { ExportResult } from "../export/export-onnx.js";
import type { ExportPrecision } from "../export/export-precisions.js";
import { opset, whyOpset } from "../export/opset.js";
import { isExported } from "../onnx/exported-model.js";
import { CheckpointError } from "../support/errors.js";
import {
  abortSignal,
  callback,
  checkOptions,
  count,
  flag,
  type OptionKind,
  type OptionKinds,
  oneOf,
  sides,
  text,
} from "../support/options.js";
import { anyData, withDataPath } from "./data-option.js";
import type { DetectorModel } from "./detector-model.js";

/** How a detector is exported. */
export interface DetectorExportOptions {
  /** New .onnx file; default: beside the weights, with their name. */
  out?: string;
  /** Default `fp32`. */
  precision?: ExportPrecision;
  /** Images in a batch, default 1; `dynamic` leaves the number open. */
  batch?: number | "dynamic";
  /** Height and width of the images in pixels; default: the square that the weights were trained on. */
  resolution?: readonly [height: number, width: number];
  /** Whether the file may sample with GridSample (default) or does it by gathers, for runtimes without it. */
  gridSample?: boolean;
  /** Dataset whose images prove the file, in the forms that `train` takes; without one, drawn images do. */
  data?: string | GivenData;
  /** Default `valid`. */
  split?: Split;
  /** Whether to measure every precision on the same images, and to write the table beside the file. */
  report?: boolean;
  /** Another opset than this is refused: it is the lowest that has all operators of the model. */
  opset?: typeof opset;
  /** Stops the export, which is then rejected with the signal's reason; nothing is left of the file. */
  signal?: AbortSignal;
  /** Called with what is done now, and how much of it. */
  progress?: (
    doing: "tracing" | "calibrating" | "writing" | "proving" | "comparing",
    done: number,
    total: number,
  ) => void;
}

const precisions = oneOf("fp32", "fp16", "int8");
/** The export says why there is no bfloat16. */
const precision: OptionKind = { ...precisions, fits: (value) => value === "bf16" || precisions.fits(value) };
const exportOptions: OptionKinds<DetectorExportOptions> = {
  out: text,
  precision,
  batch: {
    takes: 'positive integer or "dynamic"',
    fits: (value: unknown) => value === "dynamic" || count.fits(value),
  },
  resolution: sides,
  gridSample: flag,
  data: anyData,
  split: oneOf("train", "valid", "test"),
  report: flag,
  opset: { takes: `${opset}`, fits: (value) => value === opset, remedy: () => whyOpset },
  signal: abortSignal,
  progress: callback,
};

/**
 * Writes the weights as an ONNX file, in a thread of its own, and proves it.
 * @param model the model of the detector
 * @throws the reason of the signal when it is aborted
 * @throws UsageError if the file exists; ModelConfigError, DataError, ExportError as the export says
 */
export async function exportDetector(model: DetectorModel, options: DetectorExportOptions): Promise<ExportResult> {
  checkOptions("export", options, exportOptions);
  const { signal } = options;
  signal?.throwIfAborted();
  const weights = await model.trained(signal);
  if (isExported(weights))
    throw new CheckpointError(`Expected weights to export but ${weights} is an exported file already`);
  const { progress, batch = 1, precision = "fp32", out, data, signal: _signal, opset: _opset, ...rest } = options;
  const [{ exportInThread }, { defaultOut }] = await Promise.all([
    import("../export/export-thread.js"),
    import("../export/default-out.js"),
  ]);
  const { classNumbering, warn = process.emitWarning } = model.reading();
  const write = (images?: string): Promise<ExportResult> =>
    exportInThread(
      {
        weights,
        batch,
        precision,
        classNumbering,
        out: out ?? defaultOut(weights, { precision, ...rest }),
        ...rest,
        ...(images === undefined ? {} : { data: images }),
      },
      { warn, progress, ...(signal === undefined ? {} : { signal }) },
    );
  return data === undefined ? write() : withDataPath(data, { autoOrient: true, signal }, write);
}
