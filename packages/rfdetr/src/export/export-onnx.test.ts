// An export as a whole, of a tiny model.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noGrad, ops, scope, type Tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { joinPixels } from "../eval/pixels.js";
import { fillModel } from "../instruments/peers/deterministic-fill.js";
import { imagesToTensor, normalise_ } from "../model/images/preprocess.js";
import type { MaskFeatures } from "../model/outputs.js";
import { RFDETRModel } from "../model/rfdetr.js";
import { resolveModel } from "../model/variants.js";
import { compareGolden, goldenPixels } from "../onnx/goldens.js";
import { OnnxModel } from "../onnx/onnx-model.js";
import { faultsOf } from "../testing/runs/run-graph.js";
import { trainedIn } from "../testing/trained-weights.js";
import { saveWeights } from "../weights/weights.js";
import { abandonExport } from "./export-folder.js";
import { type ExportOptions, exportOnnx } from "./export-onnx.js";
import type { Graph } from "./graph/graph.js";
import { makeGraph } from "./graph/make-graph.js";
import { maskLogits } from "./graph/mask-logits.js";

const folder = mkdtempSync(join(tmpdir(), "export-"));
const weights = join(folder, "tiny.safetensors");
const config = resolveModel("tiny", { numClasses: 2 });
const model = new RFDETRModel(config).eval();
fillModel(model);
const extra = { thresholds: '{"*":0.4,"cat":0.3}', AP50: "0.25" };
saveWeights(weights, model.stateDict(), {
  classNames: ["cat", "dog"],
  config,
  trained: trainedIn("bf16-mixed"),
  extra,
});

let made = 0;
async function exported(options: Partial<ExportOptions> = {}) {
  const out = join(folder, `${made++}.onnx`);
  const result = await exportOnnx({ weights, out, precision: "fp32", batch: 1, ...options });
  return { result, out };
}

describe("an export", () => {
  it("agrees with the model, and says so in the file", async () => {
    const { result, out } = await exported();
    expect(result).toMatchObject({ out, opset: 17, precision: "fp32", proof: { images: 2, flips: 0, threshold: 0.5 } });
    expect(result.proof?.max_box_error_px).toBeLessThan(0.001);
    expect(result.proof?.max_score_error).toBeLessThan(1e-5);
    const { description } = await OnnxModel.open(out);
    expect(description).toMatchObject({
      variant: "tiny",
      resolution: [config.resolution, config.resolution],
      classNames: ["cat", "dog"],
      batch: 1,
      precision: "fp32",
      trainingPrecision: "bf16-mixed",
      thresholds: { "*": 0.4, cat: 0.3 },
      AP50: 0.25,
      numSelect: config.numSelect,
      proof: result.proof,
    });
  });

  it.each([
    ["GridSample", true],
    ["gathers", false],
  ] as const)("with %s gives its goldens, for any batch and a size that is no square", async (_, gridSample) => {
    const [height, width] = [64, 96];
    const { out } = await exported({ batch: "dynamic", resolution: [height, width], gridSample });
    const file = await OnnxModel.open(out);
    const { goldens, batch } = file.description;
    expect(batch).toBeNull();
    expect(goldens?.cases).toHaveLength(2);
    const outputs = await file.run(goldens?.cases.map(({ seed }) => goldenPixels(seed, height, width)) ?? []);
    const exact = { box_px: 0.001, score: 1e-5 };
    for (const [i, { queries }] of goldens?.cases.entries() ?? [])
      expect(compareGolden(queries, outputs[i], exact, [height, width]).holds).toBe(true);
  });

  it("is refused where it disagrees, with the module where that begins, and leaves nothing behind", async () => {
    const before = readdirSync(folder);
    const pass = (graph: Graph): void => {
      const norm = graph.nodes.find(({ origin }) => origin.module === "transformer.decoder.layers.0.norm2");
      norm?.inputs[1]?.data?.fill(3 as never);
    };
    await expect(exported({ pass })).rejects.toThrow(
      /^Expected detections within 0.1 px and a score of 0.001 .*: it begins in transformer.decoder.layers.0.norm2 at aten::layer_norm, whose result differs by \d+ %$/,
    );
    expect(readdirSync(folder)).toEqual(before);
  });

  it("is refused for weights whose own results are not finite", async () => {
    const huge = join(folder, "huge.safetensors");
    const grown = [...model.stateDict()].map(
      ([name, tensor]) => [name, /^bbox_embed.*weight/.test(name) ? tensor.mul(1e30) : tensor] as const,
    );
    const trained = trainedIn("bf16-mixed");
    saveWeights(huge, new Map(grown), { classNames: ["cat", "dog"], config, trained });
    await expect(exported({ weights: huge })).rejects.toMatchObject({
      code: "ERR_NUMERICS",
      message: expect.stringContaining("they are damaged, or overflow in float32"),
    });
  });

  it("says that a file is exported already, whatever it would be written to", async () => {
    const { out } = await exported();
    await expect(exportOnnx({ weights: out, out, precision: "fp32", batch: 1 })).rejects.toThrow(
      `Expected weights but received ${out}, an exported file`,
    );
  });

  it("never replaces a file", async () => {
    const { out } = await exported();
    const bytes = readFileSync(out);
    await expect(exportOnnx({ weights, out, precision: "fp32", batch: 1 })).rejects.toThrow(`but ${out} exists`);
    expect(readFileSync(out).equals(bytes)).toBe(true);
  });

  it("never replaces a file that appears while it works", async () => {
    const out = join(folder, "meanwhile.onnx");
    const pass = (): void => writeFileSync(out, "of another program");
    await expect(exported({ out, pass })).rejects.toThrow(`but ${out} exists`);
    expect(readFileSync(out, "utf8")).toBe("of another program");
    expect(existsSync(`${out}.partial`)).toBe(false);
  });

  it("has a name for itself while it works, and none of its leftovers stays when its process is about to end", async () => {
    const out = join(folder, "twice.onnx");
    const second: unknown[] = [];
    const pass = async (): Promise<void> => {
      await exported({ out }).catch((error: Error) => second.push(error.message));
      expect(existsSync(`${out}.partial`)).toBe(true);
      abandonExport(out);
      expect(existsSync(`${out}.partial`)).toBe(false);
    };
    await expect(exported({ out, pass })).rejects.toThrow("twice.onnx cannot be written");
    expect(second).toEqual([
      expect.stringMatching(
        RegExp(`^Expected no other export to ${out} but process ${process.pid} has been writing it since \\d{4}-`),
      ),
    ]);
  });

  it("keeps the constants of a large model in a file of their own, which never takes the place of another", async () => {
    const { out } = await exported({ externalFrom: 4096 });
    const { data, file } = { data: statSync(`${out}.data`).size, file: statSync(out).size };
    expect(data).toBeGreaterThan(4 * file);
    const loaded = await OnnxModel.open(out);
    const pixels = goldenPixels(5, config.resolution, config.resolution);
    const [outputs] = await loaded.run([pixels]);
    const [whole] = await (await OnnxModel.open((await exported()).out)).run([pixels]);
    expect(outputs).toEqual(whole);
    renameSync(out, `${out}.moved`);
    await expect(exported({ out })).rejects.toThrow(`but ${out}.data exists`);
    expect(statSync(`${out}.data`).size).toBe(data);
  });

  it("never replaces the table of an earlier one", async () => {
    const out = join(folder, "table.onnx");
    writeFileSync(`${out}.drift.txt`, "of an earlier export");
    await expect(exported({ out, report: true })).rejects.toThrow(`but ${out}.drift.txt exists`);
    await exported({ out });
    expect(readFileSync(`${out}.drift.txt`, "utf8")).toBe("of an earlier export");
  });

  it("takes the place of one that was interrupted, and not of the user's files", async () => {
    const out = join(folder, "again.onnx");
    mkdirSync(`${out}.partial`);
    writeFileSync(join(`${out}.partial`, "thesis.txt"), "");
    await expect(exported({ out })).rejects.toThrow(`Expected no other files in ${out}.partial`);
    expect(readdirSync(`${out}.partial`)).toEqual(["thesis.txt"]);
    mkdirSync(join(folder, "interrupted.onnx.partial"));
    writeFileSync(join(folder, "interrupted.onnx.partial", "interrupted.onnx"), "the beginning");
    await exported({ out: join(folder, "interrupted.onnx") });
    expect(existsSync(join(folder, "interrupted.onnx.partial"))).toBe(false);
  });

  it.each([
    [{ out: "best.pth" }, "Expected a file name that ends in .onnx to write but received best.pth"],
    [{ resolution: [50, 64] as const }, "50"],
    [{ out: join(folder, "none", "a.onnx") }, "cannot be written"],
  ])("refuses %j in one sentence", async (options, message) => {
    await expect(exported(options)).rejects.toThrow(message);
    expect(existsSync("best.pth.partial")).toBe(false);
  });
});

describe("the graph of a detector", () => {
  it("knows the module and the policy's rule of each node", () => {
    const graph = makeGraph(model, { batch: 1, height: 64, width: 64, overrides: { class_embed: "fp32" } });
    expect(faultsOf(graph)).toEqual([]);
    const rules = (module: string, op: string) =>
      graph.nodes.filter((node) => node.origin.module === module && node.op === op).map(({ origin }) => origin.rule);
    expect(rules("class_embed", "MatMul")).toEqual(["fp32"]);
    expect(rules("bbox_embed.layers.0", "MatMul")).toEqual(["lower"]);
    expect(rules("transformer.decoder.layers.0.norm1", "LayerNormalization")).toEqual(["fp32"]);
    expect(rules("transformer.query_selection", "TopK")).toEqual(["fp32"]);
    const attention = "backbone.0.encoder.encoder.encoder.layer.0.attention.attention";
    expect(rules(attention, "Softmax")).toEqual(["fp32"]);
    expect(rules(attention, "MatMul")).toEqual(["lower", "lower"]);
  });

  it("has no node that a runtime would have to fold away", () => {
    const { nodes } = makeGraph(model, { batch: 1, height: 64, width: 64 });
    const idle = ["Constant", "Identity", "Cast", "Expand", "Shape", "Range"];
    expect(nodes.filter(({ op }) => idle.includes(op))).toEqual([]);
  });
});

describe("an export of a model with masks", () => {
  const config = resolveModel("seg-tiny", { numClasses: 2 });
  const segmenting = new RFDETRModel(config).eval();
  fillModel(segmenting);
  // Scores as of detections.
  noGrad(() => scope(() => void ops.add_(segmenting.classEmbed.bias as Tensor, 4.6)));
  const weights = join(folder, "seg-tiny.safetensors");
  saveWeights(weights, segmenting.stateDict(), {
    classNames: ["cat", "dog"],
    config,
    trained: trainedIn("bf16-mixed"),
  });

  it.each([
    ["fp32", "dynamic", true, 0.9999],
    ["fp32", 1, false, 0.9999],
    ["fp16", 2, true, 0.9],
  ] as const)("in %s for %s images proves them (GridSample %s)", async (precision, batch, gridSample, least) => {
    const [height, width] = [64, 96];
    const { result, out } = await exported({ weights, precision, batch, gridSample, resolution: [height, width] });
    expect(result.proof?.min_mask_iou).toBeGreaterThan(least);
    const file = await OnnxModel.open(out);
    expect(file.description.masks).toEqual([height / 4, width / 4]);
    expect(file.description.goldens?.cases[0].queries[0].mask).toBeGreaterThan(0);
    const images = [1, 2, 3].map((seed) => goldenPixels(seed, height, width));
    const ours = noGrad(() =>
      scope(() => {
        const joined = imagesToTensor(joinPixels(images), 3, height, width);
        return maskLogits(segmenting.call(normalise_(joined)).predMasks as MaskFeatures).toArray() as Float32Array;
      }),
    );
    // Float16 has 11 bits, and a dozen roundings stand one behind the other.
    const bound = precision === "fp32" ? 1e-4 : 12 * 2 ** -11 * Math.max(...ours.map(Math.abs));
    expect(result.proof?.max_mask_logit_error).toBeLessThan(bound);
    for (const [i, { masks }] of (await file.run(images)).entries()) {
      expect(masks).toMatchObject({ height: height / 4, width: width / 4 });
      // In float16, proposals of nearly one score change places; the proof looks for each query's own mask.
      if (precision === "fp16") continue;
      const own = ours.subarray((i * ours.length) / 3, ((i + 1) * ours.length) / 3);
      const apart = own.map((logit, at) => Math.abs(logit - (masks?.logits[at] as number)));
      expect(Math.max(...apart)).toBeLessThan(bound);
    }
    await file.release();
  });

  it("is refused where its masks disagree", async () => {
    const pass = (graph: Graph): void => {
      const bias = graph.nodes.find(({ origin, op }) => origin.module === "masks" && op === "Add")?.inputs[1];
      (bias?.data as Float32Array)[0] += 3;
    };
    await expect(exported({ weights, pass })).rejects.toThrow(/masks have an IoU of [\d.]+ where 0.980 is the least/);
  });
});
