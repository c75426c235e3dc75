// The drift of a detector on its way out of training: the same images in every form, each against the first and against
// the form that it is made from.
import type { Precision } from "@rfdetr/amp";
import type { RFDETRModel } from "../../model/rfdetr.js";
import type { RawOutputs } from "../../onnx/goldens.js";
import { hasWebRuntime } from "../../onnx/web-runtime.js";
import { type TrainedPrecision, trainedAutocast } from "../../weights/trained-precision.js";
import type { Graph } from "../graph/graph.js";
import type { ProofImages } from "../proof/proof-images.js";
import { OwnOutputs } from "../proof/prove.js";
import { FormDetections, type FormError, formError, type Picture, picturesOf } from "./forms.js";
import { lowerPrecision } from "./lower-precision.js";
import { graphOf, type PreciseOptions, preciseGraph } from "./precise-graph.js";
import { RunningGraph } from "./run-graph.js";
import { WasmGraph } from "./wasm-graph.js";

/** A form of the detector, with what it makes of the detections. */
export interface DriftForm {
  name: string;
  /** Average precision of the boxes on the images; null without ground truth. */
  AP: number | null;
  /** That of the masks, where the model has some and the images have ground truth. */
  mask_AP?: number;
  /** Median of a forward pass of one image. */
  milliseconds: number;
  /** Of the file; null where there is none. */
  bytes: number | null;
  /** Against the first form, which is libtorch in float32; null for that itself. */
  error: FormError | null;
  /** Against the form that it is made from. */
  hop: (FormError & { from: string }) | null;
}

/** A detection of libtorch in float32, and what the other forms make of it. */
export interface DriftDetection {
  image: number | string;
  class: string;
  /** Left, top, right, bottom in pixels of the model's input. */
  box: [number, number, number, number];
  score: number;
  /** By name of the form: score, and error of the box in pixels; null where the form lacks the detection. */
  forms: Record<string, { score: number; box_px: number } | null>;
}

/** The drift table. */
export interface Drift {
  images: number;
  /** Score from which a detection counts as one that flips. */
  threshold: number;
  forms: DriftForm[];
  detections: DriftDetection[];
  /** Which forms have no row here, and how to get them: sentences. */
  missing: string[];
}

/** What the drift is measured with. */
export interface DriftOptions extends PreciseOptions {
  images: ProofImages;
  /** Names of the classes by index. */
  classNames: readonly string[];
  /** Where the training was in float32, autocast is shown in float16. */
  trained: TrainedPrecision;
}

/** Default threshold of `predict`. */
const threshold = 0.5;
/** Images that are compared. */
const most = 100;

/** How a form runs. */
interface Runner {
  name: string;
  /** The form that it is made from; `""` for the first. */
  from: string;
  open(): Promise<{ bytes: number | null; run(picture: Picture): Promise<RawOutputs>; release(): Promise<void> }>;
}

/**
 * Runs every form of a detector on the images of a proof: libtorch in float32 and under autocast, and onnxruntime with
 * files in float32, in float16 with islands, in float16 as a whole, where the images have ground truth in int8, and
 * where onnxruntime-web is installed in float32 in WebAssembly.
 */
export async function measureDrift(model: RFDETRModel, options: DriftOptions): Promise<Drift> {
  const pictures: Picture[] = [];
  for await (const picture of picturesOf(options.images, most)) pictures.push(picture);
  const runners = runnersOf(model, options);
  const forms = new Map<string, FormDetections>();
  const described: DriftForm[] = [];
  for (const { name, from, open } of runners) {
    const form = new FormDetections(options.images.split, model.config.numSelect);
    const running = await open();
    const milliseconds: number[] = [];
    try {
      for (const picture of pictures) {
        const began = performance.now();
        const outputs = await running.run(picture);
        milliseconds.push(performance.now() - began);
        form.add(picture, outputs);
        options.progress(described.length * pictures.length + milliseconds.length, runners.length * pictures.length);
      }
    } finally {
      await running.release();
    }
    const [first] = forms.values();
    const source = forms.get(from);
    forms.set(name, form);
    described.push({
      name,
      ...form.figures(),
      milliseconds: median(milliseconds),
      bytes: running.bytes,
      error: first === undefined ? null : withoutPairs(formError(first, form, threshold)),
      hop: source === undefined ? null : { from, ...withoutPairs(formError(source, form, threshold)) },
    });
  }
  return {
    images: pictures.length,
    threshold,
    forms: described,
    detections: detectionsOf(forms, pictures, options.classNames),
    missing: [
      ...(hasWebRuntime() ? [] : ["WebAssembly has no row: run npm install onnxruntime-web."]),
      "WebGPU has no row: it is in browsers only, where the page of rfdetr demo-page shows its error.",
    ],
  };
}

function runnersOf(model: RFDETRModel, options: DriftOptions): Runner[] {
  const { path, images, trained } = options;
  const mixed: Precision = trained.precision === "bf16-mixed" ? "bf16-mixed" : "16-mixed";
  const own = (precision: Precision): Runner["open"] => {
    const outputs = new OwnOutputs(model, trainedAutocast(model, { ...trained, numberFormat: null }, precision));
    const run = async (picture: Picture) => outputs.of(singleOf(picture))[0];
    return async () => ({ bytes: null, run, release: async () => {} });
  };
  const file =
    (make: () => Promise<Graph>): Runner["open"] =>
    async () => {
      const running = await RunningGraph.open(await make(), path);
      const run = ({ pixels, size }: Picture) => running.run(pixels, size);
      return { bytes: running.bytes, run, release: () => running.release() };
    };
  const wasm: Runner["open"] = async () => {
    const running = await WasmGraph.open(graphOf(model, { ...options, batch: 1 }), path);
    const run = ({ pixels, size }: Picture) => running.run(pixels, size);
    return { bytes: running.bytes, run, release: () => running.release() };
  };
  const precise = (precision: "fp32" | "fp16" | "int8") =>
    file(async () => (await preciseGraph(model, { ...options, precision, batch: 1, progress: () => {} })).graph);
  const whole = file(async () => {
    const graph = graphOf(model, { ...options, batch: 1, conversions: true });
    lowerPrecision(graph, { dtype: "float16", form: "whole" });
    return graph;
  });
  const [first, single] = ["libtorch float32", "ONNX float32"];
  return [
    { name: first, from: "", open: own("32-true") },
    { name: `libtorch ${mixed}`, from: first, open: own(mixed) },
    { name: single, from: first, open: precise("fp32") },
    { name: "ONNX float16, islands", from: single, open: precise("fp16") },
    { name: "ONNX float16, whole", from: single, open: whole },
    ...(images.split === null ? [] : [{ name: "ONNX int8", from: single, open: precise("int8") }]),
    ...(hasWebRuntime() ? [{ name: "ONNX float32, wasm", from: single, open: wasm }] : []),
  ];
}

/** A batch of one. */
function singleOf({ batch, index, pixels }: Picture): Picture["batch"] {
  const { height, width, imageIds, origSizes, truths } = batch;
  const one = <T>(list: readonly T[]): T[] => list.slice(index, index + 1);
  return { images: pixels, height, width, imageIds: one(imageIds), origSizes: one(origSizes), truths: one(truths) };
}

function withoutPairs({ pairs: _pairs, ...error }: ReturnType<typeof formError>): FormError {
  return error;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

/** The detections of the first form in all others, image by image. */
function detectionsOf(
  forms: ReadonlyMap<string, FormDetections>,
  pictures: readonly Picture[],
  classNames: readonly string[],
): DriftDetection[] {
  const [[, first], ...others] = [...forms];
  const pairs = new Map(others.map(([name, form]) => [name, formError(first, form, threshold).pairs]));
  const own = formError(first, first, threshold).pairs;
  return own.flatMap((found, image) =>
    found.map(({ label, score, box }, i) => ({
      image: pictures[image].batch.imageIds[pictures[image].index],
      class: classNames[label] ?? `class ${label}`,
      box,
      score,
      forms: Object.fromEntries(
        [...pairs].map(([name, all]) => {
          const { other, boxPx } = all[image][i];
          return [name, boxPx === null ? null : { score: other, box_px: boxPx }];
        }),
      ),
    })),
  );
}
