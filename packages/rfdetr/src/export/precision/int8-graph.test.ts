import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Overrides } from "@rfdetr/amp";
import { noGrad, ops, type Tensor } from "@rfdetr/torch";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { synthesize } from "../../data/synth/synth.js";
import { emojiClasses } from "../../data/synth/synth-sprites.js";
import { fillImages, fillModel } from "../../instruments/peers/deterministic-fill.js";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { runGraph } from "../../testing/runs/run-graph.js";
import type { Graph } from "../graph/graph.js";
import { makeGraph } from "../graph/make-graph.js";
import { type ProofImages, proofImages } from "../proof/proof-images.js";
import { type Int8Island, int8Graph } from "./int8-graph.js";
import { productsOf, quantise, quantiseWeight } from "./quantise.js";

it("the segmentation head is no product that int8 computes", () => {
  const segmenting = new RFDETRModel(resolveModel("seg-tiny", { numClasses: 2 })).eval();
  const graph = makeGraph(segmenting, { batch: 1, height: 96, width: 96 });
  const inHead = ({ origin }: { origin: { module: string } }) => origin.module.startsWith("segmentation_head");
  expect(graph.nodes.filter(({ op }) => op === "Conv").some(inHead)).toBe(true);
  expect(productsOf(graph).length).toBeGreaterThan(10);
  expect(productsOf(graph).some(inHead)).toBe(false);
});

const classNames = emojiClasses.slice(0, 2);
const config = resolveModel("tiny", { numClasses: 2 });
const side = config.resolution;

/** A model whose scores lie around the threshold, as those of a trained one do not, so that rounding flips some. */
function modelAtThreshold(): RFDETRModel {
  const model = new RFDETRModel(config).eval();
  fillModel(model);
  noGrad(() => void ops.add_(model.classEmbed.bias as Tensor, 4.6));
  return model;
}

const graphOf = (model: RFDETRModel, overrides: Overrides = {}): Graph =>
  makeGraph(model, { batch: 1, height: side, width: side, overrides });

let folder: string;
let images: ProofImages;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "int8-graph-"));
  const data = join(folder, "data");
  await synthesize(data, { images: 6, size: 64, classes: 2 });
  images = await proofImages({ data, split: "train", masks: false }, classNames, [side, side], 1);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("a quantised weight", () => {
  it("has a scale for each output channel, and seven bits", () => {
    const weight = { shape: [2, 3], data: Float32Array.of(1, -20, 0, 0.49, 9.8, 0) };
    const { scales, elements } = quantiseWeight(weight, 1);
    expect([...elements]).toEqual([63, -63, 0, 31, 31, 0]);
    expect([...scales].map((scale) => scale * 63)).toEqual([1, 20, 63].map((each) => expect.closeTo(each, 4)));
  });
});

describe("a quantised graph", () => {
  const range = { min: -8, max: 8 };
  const quantised = (overrides: Overrides = {}): Graph => {
    const graph = graphOf(modelAtThreshold(), overrides);
    quantise(graph, new Map(productsOf(graph).map((product) => [product, [range, range]])));
    return graph;
  };

  it("stores weights in int8 with a scale for each output channel, and quantises an input once", () => {
    const graph = quantised();
    const weights = graph.constants().filter(({ name }) => name.endsWith(".int8"));
    expect(weights.length).toBeGreaterThan(20);
    expect(weights.filter(({ dtype }) => dtype !== "int8")).toEqual([]);
    const inputs = graph.nodes.filter(({ op }) => op === "QuantizeLinear").map((node) => node.inputs[0]);
    expect(new Set(inputs).size).toBe(inputs.length);
  });

  it("leaves out what training keeps in float32", () => {
    const modules = productsOf(graphOf(modelAtThreshold(), { "transformer.decoder": "fp32" })).map(
      ({ origin }) => origin.module,
    );
    expect(modules.length).toBeGreaterThan(10);
    expect(modules.filter((path) => /query_selection|transformer\.decoder/.test(path))).toEqual([]);
  });

  it("runs in onnxruntime, near the model", async () => {
    const pixels = fillImages(1, side, side).toArray() as Float32Array;
    const heads = graphOf(modelAtThreshold());
    const products = productsOf(heads).filter(({ origin }) => origin.module === "class_embed");
    quantise(heads, new Map(products.map((product) => [product, [range]])));
    const [single, low] = await Promise.all(
      [graphOf(modelAtThreshold()), heads].map((graph) => runGraph(graph, pixels, [1, 3, side, side])),
    );
    const apart = single.labels.data.map((logit, i) => Math.abs(logit - low.labels.data[i]));
    expect(Math.max(...apart)).toBeGreaterThan(0);
    expect(Math.max(...apart)).toBeLessThan(0.3);
  });
});

describe("the islands of an int8 graph", () => {
  async function islandsOf(model: RFDETRModel): Promise<{ graph: Graph; islands: Int8Island[] }> {
    return await int8Graph({
      graph: () => graphOf(model),
      batch: 1,
      images,
      numSelect: config.numSelect,
      calibrationImages: 4,
      path: join(folder, "probe.onnx"),
      progress() {},
    });
  }

  it("begin with the block whose rounding flips most detections", async () => {
    const model = modelAtThreshold();
    // One channel is a million times the others, and its weights a millionth: the same model in float32.
    const [layer] = [...model.namedModules()].flatMap(([path, module]) =>
      path.endsWith("encoder.layer.1") ? module : [],
    );
    const { norm2, mlp } = layer as unknown as {
      norm2: { weight: Tensor; bias: Tensor };
      mlp: { fc1: { weight: Tensor } };
    };
    noGrad(() => {
      for (const each of [norm2.weight, norm2.bias]) ops.mul_(each.select(0, 0), 1e6);
      ops.div_(mlp.fc1.weight.select(1, 0), 1e6);
    });
    const { graph, islands } = await islandsOf(model);
    expect(islands[0].module).toMatch(/encoder\.layer\.1$/);
    expect(islands[0].flips).toBeGreaterThan(0);
    const low = graph.nodes.filter(({ op }) => op === "QuantizeLinear").map(({ origin }) => origin.module);
    expect(low.length).toBeGreaterThan(0);
    for (const { module } of islands) expect(low.filter((path) => path.startsWith(`${module}.`))).toEqual([]);
  });

  it("need images of the user", async () => {
    const drawn = await proofImages(null, [], [side, side], 1);
    await expect(
      int8Graph({
        graph: () => graphOf(modelAtThreshold()),
        batch: 1,
        images: drawn,
        numSelect: 1,
        calibrationImages: 1,
        path: "",
        progress() {},
      }),
    ).rejects.toThrow("Expected a dataset for data but received none: int8 is calibrated on your images");
  });
});
