import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Overrides } from "@rfdetr/amp";
import { type DType, intercept, noGrad, scope, type Tensor } from "@rfdetr/torch";
import { InferenceSession, Tensor as OnnxTensor } from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fillImages, fillModel } from "../../instruments/peers/deterministic-fill.js";
import { inFloat32 } from "../../model/outputs.js";
import { modelAutocast } from "../../model/precision/precision.js";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { conversion, type Graph, type GraphNode, type Value } from "../graph/graph.js";
import { makeGraph } from "../graph/make-graph.js";
import { writeOnnx } from "../write-onnx.js";
import { type LoweringOptions, lowerPrecision } from "./lower-precision.js";

const config = resolveModel("tiny");
const side = config.resolution;
const model = new RFDETRModel(config);
fillModel(model);
model.eval();
model.name("");
const images = fillImages(1, side, side);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "lower-precision-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function lowered(options: Partial<LoweringOptions> = {}, overrides: Overrides = {}): Graph {
  const graph = makeGraph(model, { batch: 1, height: side, width: side, overrides, conversions: true });
  lowerPrecision(graph, { dtype: "float16", form: "islands", ...options });
  return graph;
}

function run(graph: Graph): Promise<{ boxes: Float32Array; logits: Float32Array }> {
  const path = join(folder, "model.onnx");
  writeOnnx(graph, path, { path: `${path}.data` }, { metadata: {}, version: "0" });
  return InferenceSession.create(path, { logSeverityLevel: 3 }).then(async (session) => {
    const input = new OnnxTensor("float32", images.toArray() as Float32Array, images.shape);
    const { dets, labels } = await session.run({ input });
    await session.release();
    return { boxes: dets.data as Float32Array, logits: labels.data as Float32Array };
  });
}

function own(precision: "32-true" | "16-mixed"): { boxes: Float32Array; logits: Float32Array } {
  const autocast = modelAutocast(model, { precision });
  return noGrad(() =>
    scope(() => {
      const { predBoxes, predLogits } = inFloat32(autocast.run(() => model.call(images)));
      return { boxes: predBoxes.toArray() as Float32Array, logits: predLogits.toArray() as Float32Array };
    }),
  );
}

const difference = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, each, i) => Math.max(most, Math.abs(each - b[i])), 0);
const casts = (graph: Graph): GraphNode[] => graph.nodes.filter(({ op }) => op === "Cast");
const bytes = (graph: Graph): number => graph.constants().reduce((sum, { data }) => sum + (data?.byteLength ?? 0), 0);
const lowValues = (graph: Graph): Value[] =>
  graph.nodes.flatMap(({ outputs }) => outputs).filter(({ dtype }) => dtype === "float16");

/** Dtypes that autocast gives to the results of each operator in each module. */
function autocastDtypes(): Map<string, Set<DType>> {
  const seen = new Map<string, Set<DType>>();
  const autocast = modelAutocast(model, { precision: "16-mixed" });
  const remove = intercept((call, next) => {
    const result = next(call.args);
    const key = `${call.op.name} in ${call.module?.path}`;
    const [{ dtype }] = [result].flat() as [Tensor];
    seen.set(key, (seen.get(key) ?? new Set()).add(dtype));
    return result;
  });
  try {
    noGrad(() => scope(() => autocast.run(() => void model.call(images))));
  } finally {
    remove();
  }
  return seen;
}

describe("a graph in float16 with float32 islands", () => {
  it("gives the results of layers the dtypes that autocast gives them", () => {
    const seen = autocastDtypes();
    const last = new Map<number, GraphNode>();
    const graph = lowered();
    for (const node of graph.nodes) if (node.op !== "Cast") last.set(node.origin.call, node);
    const compared = [...last.values()].flatMap(({ origin, outputs: [{ dtype }] }) => {
      const own = seen.get(`${origin.operator} in ${origin.module}`);
      const computes = /linear|conv2d|layer_norm|gelu|silu|addcmul|relu|sigmoid|exp/.test(origin.operator);
      return own?.size === 1 && computes ? [[`${origin.operator} in ${origin.module}`, dtype, [...own][0]]] : [];
    });
    expect(compared.length).toBeGreaterThan(40);
    expect(compared.filter(([, file, training]) => file !== training)).toEqual([]);
  });

  it("keeps what the model converts to float32 itself", () => {
    const graph = lowered();
    for (const op of ["GridSample", "Softmax", "LayerNormalization", "TopK"])
      expect(
        graph.nodes.filter((node) => node.op === op && node.outputs[0].dtype !== "float32").map(({ name }) => name),
      ).toEqual([]);
    expect(graph.nodes.filter(({ op }) => op === conversion)).toEqual([]);
  });

  it("has float32 inputs and outputs of the same names", () => {
    const { inputs, outputs } = lowered();
    expect([...inputs, ...outputs].map(({ name, dtype }) => [name, dtype])).toEqual([
      ["input", "float32"],
      ["dets", "float32"],
      ["labels", "float32"],
    ]);
  });

  it("casts no constant, nothing twice, and nothing back", () => {
    const graph = lowered();
    const sources = casts(graph).map(({ inputs }) => inputs[0] as Value);
    expect(sources.filter(({ data }) => data !== null)).toEqual([]);
    expect(new Set(sources).size).toBe(sources.length);
    expect(sources.filter((source) => casts(graph).some(({ outputs }) => outputs[0] === source))).toEqual([]);
  });

  it("stores a weight once", () => {
    const keys = lowered()
      .constants()
      .filter(({ shape }) => shape.length > 1)
      .map(({ name }) => name.replace(/\.float16$/, ""));
    expect(new Set(keys).size).toBe(keys.length);
  });

  it("has about half the bytes", () => {
    const single = makeGraph(model, { batch: 1, height: side, width: side });
    expect(bytes(lowered()) / bytes(single)).toBeLessThan(0.62);
  });

  it("gives in onnxruntime what autocast gives, which differs from float32", async () => {
    const [file, training, single] = [await run(lowered()), own("16-mixed"), own("32-true")];
    expect(difference(file.logits, training.logits)).toBeLessThan(0.02);
    expect(difference(file.boxes, training.boxes)).toBeLessThan(0.002);
    expect(difference(file.logits, single.logits)).toBeGreaterThan(0);
    expect(difference(file.logits, single.logits)).toBeLessThan(0.03);
  });

  it.each([
    ["fp32", "transformer.decoder"],
    ["bf16", "backbone"],
  ] as const)("leaves a module with the rule %s in float32", (rule, pattern) => {
    const graph = lowered({}, { [pattern]: rule });
    const inside = graph.nodes.filter(({ origin, op }) => origin.module.startsWith(pattern) && op !== "Cast");
    const low = inside.filter(({ outputs }) => outputs[0].dtype === "float16").map(({ name }) => name);
    // What only lays out may follow a cast for what reads it.
    expect(low.filter((name) => !/(Reshape|Transpose|Split|Slice)(_\d+)?$/.test(name))).toEqual([]);
    expect(lowValues(graph).length).toBeGreaterThan(0);
  });

  it("keeps raised calls in float32", () => {
    const products = (graph: Graph): GraphNode[] => graph.nodes.filter(({ op }) => op === "MatMul");
    const isLow = ({ outputs }: GraphNode): boolean => outputs[0].dtype === "float16";
    const { call } = products(lowered()).filter(isLow)[0].origin;
    const raised = products(lowered({ raised: new Set([call]) })).find(({ origin }) => origin.call === call);
    expect(raised?.outputs[0].dtype).toBe("float32");
  });

  it("names constants that float16 cannot hold", () => {
    const graph = makeGraph(model, { batch: 1, height: side, width: side, conversions: true });
    const node = graph.nodes.find(({ op }) => op === "MatMul") as GraphNode;
    const weight = node.inputs[1] as Value;
    (weight.data as Float32Array)[0] = -1e5;
    expect(lowerPrecision(graph, { dtype: "float16", form: "islands" })).toEqual([
      { call: node.origin.call, module: node.origin.module, operator: "aten::linear", amax: 1e5 },
    ]);
  });
});

describe("a graph that is float16 as a whole", () => {
  it("has no float32 but its inputs and outputs", () => {
    const graph = lowered({ form: "whole" });
    expect(casts(graph).map(({ outputs }) => outputs[0].name)).toEqual(["input.float16", "dets", "labels"]);
    expect(graph.constants().filter(({ dtype }) => dtype === "float32")).toEqual([]);
  });

  it("is further from the model than islands are", async () => {
    const [single, islands, whole] = [own("32-true"), await run(lowered()), await run(lowered({ form: "whole" }))];
    expect(difference(whole.logits, single.logits)).toBeGreaterThan(difference(islands.logits, single.logits));
  });
});

describe("a graph in bfloat16 with float32 islands", () => {
  it("leaves what opset 17 has no bfloat16 for in float32", () => {
    const graph = lowered({ dtype: "bfloat16" });
    expect(graph.nodes.some(({ op, outputs }) => op === "MatMul" && outputs[0].dtype === "bfloat16")).toBe(true);
    expect(graph.nodes.filter(({ op, outputs }) => op === "Conv" && outputs[0].dtype !== "float32")).toEqual([]);
  });
});
