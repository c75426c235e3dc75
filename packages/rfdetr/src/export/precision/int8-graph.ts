// The graph of an int8 file: calibrated on the user's images, with float32 where rounding flips detections.
import { installRuntime } from "../../onnx/node-runtime.js";
import { ExportError, UsageError } from "../../support/errors.js";
import type { Graph } from "../graph/graph.js";
import type { ProofImages } from "../proof/proof-images.js";
import { FormDetections, type FormError, formError, type Picture, picturesOf } from "./forms.js";
import { calibratedValues, type Product, productsOf, quantise } from "./quantise.js";
import { Histogram, type Range } from "./ranges.js";
import { RunningGraph } from "./run-graph.js";

/**
 * Share of an activation's elements that lie outside of its range. On the demo's detector it flips fewer detections
 * than the whole range and than the range with the least squared error.
 */
const leftOut = 1e-4;

/** What an int8 graph is made with. */
export interface Int8Options {
  /** Makes the float32 graph for a number of images. */
  graph: (batch: number | "dynamic") => Graph;
  batch: number | "dynamic";
  images: ProofImages | null;
  /** Detections that the model selects for each image. */
  numSelect: number;
  /** Images to calibrate on. */
  calibrationImages: number;
  /** Where to write files that are run to measure. */
  path: string;
  progress: (done: number, total: number) => void;
}

/** A part of the model that stays float32. */
export interface Int8Island {
  /** Path of the module, with all that is inside it. */
  module: string;
  /** Detections that flip where this part alone is int8. */
  flips: number;
  /** The mean change of scores there. */
  score: number;
}

/** Score from which a detection counts: the default of `predict`. */
const threshold = 0.5;
/** Share of the detections that may flip. */
const tolerated = 0.02;

/**
 * Makes the graph. All products that mixed precision lowers are int8 at first. Where more than one detection in fifty
 * then flips, each block of the model is tried alone, and those that flip most stay float32 one after the other, until
 * few enough flip.
 * @throws UsageError without images of the user
 * @throws ExportError if the model has no products to quantise
 */
export async function int8Graph(options: Int8Options): Promise<{ graph: Graph; islands: Int8Island[] }> {
  const { images } = options;
  if (images === null)
    throw new UsageError(
      `Expected onnxruntime-node to calibrate int8 with but it is not installed: run ${installRuntime}`,
    );
  if (images.split === null)
    throw new UsageError("Expected a dataset for data but received none: int8 is calibrated on your images");
  const pictures: Picture[] = [];
  for await (const picture of picturesOf(images, options.calibrationImages)) pictures.push(picture);
  const search = await Search.calibrate(options, pictures);
  const islands: Int8Island[] = [];
  let candidates: Int8Island[] | null = null;
  while (!search.holds(await search.errorOf(search.without(islands)))) {
    candidates ??= await search.candidates();
    const next = candidates.shift();
    if (next === undefined) break;
    islands.push(next);
  }
  const graph = options.graph(options.batch);
  quantise(graph, search.rangesIn(graph, search.without(islands)));
  return { graph, islands };
}

/** Tries which blocks may be int8. */
class Search {
  #done = 0;
  private constructor(
    readonly options: Int8Options,
    readonly pictures: readonly Picture[],
    /** Ranges of the calibrated values of each product. */
    readonly ranges: readonly (readonly Range[])[],
    /** Block of each product. */
    readonly blocks: readonly string[],
    readonly reference: FormDetections,
  ) {}

  /** Runs the model in float32. */
  static async calibrate(options: Int8Options, pictures: readonly Picture[]): Promise<Search> {
    const graph = options.graph(1);
    const products = productsOf(graph);
    if (products.length === 0)
      throw new ExportError("Expected layers that mixed precision lowers but the overrides keep all in float32");
    const values = [...new Set(products.flatMap(calibratedValues))];
    const histograms = new Map(values.map((value) => [value, new Histogram()]));
    const reference = new FormDetections(null, options.numSelect);
    const running = await RunningGraph.open(graph, options.path, values);
    try {
      for (const [done, picture] of pictures.entries()) {
        const outputs = await running.run(picture.pixels, picture.size);
        for (const [i, value] of values.entries()) histograms.get(value)?.add(outputs.values[i]);
        reference.add(picture, outputs);
        options.progress(done + 1, pictures.length);
      }
    } finally {
      await running.release();
    }
    const rangeOf = new Map([...histograms].map(([value, histogram]) => [value, histogram.percentile(leftOut)]));
    const ranges = products.map((product) => calibratedValues(product).map((value) => rangeOf.get(value) as Range));
    return new Search(options, pictures, ranges, products.map(blockOf), reference);
  }

  /** The blocks that are int8. */
  without(islands: readonly Int8Island[]): Set<string> {
    return new Set(this.blocks.filter((block) => !islands.some(({ module }) => module === block)));
  }

  /** What blocks in int8 make of the detections. */
  async errorOf(blocks: ReadonlySet<string>): Promise<FormError> {
    const graph = this.options.graph(1);
    quantise(graph, this.rangesIn(graph, blocks));
    const form = new FormDetections(null, this.options.numSelect);
    const running = await RunningGraph.open(graph, this.options.path);
    try {
      for (const picture of this.pictures) form.add(picture, await running.run(picture.pixels, picture.size));
    } finally {
      await running.release();
    }
    return formError(this.reference, form, threshold);
  }

  /** All blocks, those that do most harm alone first. */
  async candidates(): Promise<Int8Island[]> {
    const found: Int8Island[] = [];
    const blocks = [...new Set(this.blocks)];
    for (const module of blocks) {
      const { flips, score } = await this.errorOf(new Set([module]));
      found.push({ module, flips, score: score.mean });
      this.options.progress(++this.#done, blocks.length);
    }
    return found.sort((a, b) => b.flips - a.flips || b.score - a.score);
  }

  holds({ flips }: FormError): boolean {
    const shown = this.reference.detections.reduce(
      (sum, { scores }) => sum + scores.filter((score) => score >= threshold).length,
      0,
    );
    return flips <= tolerated * shown;
  }

  rangesIn(graph: Graph, blocks: ReadonlySet<string>): Map<Product, readonly Range[]> {
    const products = productsOf(graph).map((product, i) => [product, this.ranges[i]] as const);
    return new Map(products.filter((_, i) => blocks.has(this.blocks[i])));
  }
}

/**
 * The path of a numbered layer of encoder or decoder, such as `transformer.decoder.layers.0`, or of a part beside them.
 */
function blockOf({ origin: { module } }: Product): string {
  return /^.*?\.layers?\.\d+(?=\.|$)/.exec(module)?.[0] ?? module.split(".").slice(0, 3).join(".");
}
