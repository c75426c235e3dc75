// Every row of the table of operators: what onnxruntime computes is what libtorch computes.
import { nn, noGrad, ops, randn, scope, type Tensor, tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { faultsOf, runGraph } from "../../testing/runs/run-graph.js";
import { gatherSampling } from "./gather-sampling.js";
import type { Graph } from "./graph.js";
import { makeGraph } from "./make-graph.js";
import { operatorRules } from "./operators.js";
import type { TracedModel } from "./trace.js";

type Body = (x: Tensor) => Tensor;

/** A model of one function of the images. */
const modelOf = (body: Body, state: Record<string, Tensor> = {}): TracedModel => ({
  stateDict: () => new Map(Object.entries(state)),
  call(images) {
    const result = body(images);
    return { predBoxes: result, predLogits: result.mul(1) };
  },
});

const images = (batch: number): Tensor => randn([batch, 3, 4, 6]);

/** What both compute for the same images, and the graph. */
async function both(body: Body, batch: number | "dynamic" = 2, change: (graph: Graph) => void = () => {}) {
  const graph = makeGraph(modelOf(body), { batch, height: 4, width: 6 });
  change(graph);
  expect(faultsOf(graph)).toEqual([]);
  const x = images(2);
  const ours = noGrad(() => scope(() => body(x).float().toArray()));
  const { dets } = await runGraph(graph, x.toArray() as Float32Array, x.shape);
  return { graph, ours, theirs: dets.data };
}

const weight = randn([5, 6]);
const bias = randn([5]);
const kernel = randn([4, 3, 3, 3]);
const spread = randn([3, 2, 2, 2]);
const gain = randn([6]);
const grid = randn([2, 5, 3, 2]);

const cases: Readonly<Record<string, Body>> = {
  "aten::add": (x) => ops.add(x, x.mul(2), { alpha: 3 }),
  "aten::sub": (x) => x.sub(1),
  "aten::mul": (x) => x.mul(gain),
  "aten::div": (x) => x.div(3),
  "aten::addcmul": (x) => ops.addcmul(x, x, gain),
  "aten::exp": (x) => x.exp(),
  "aten::sin": (x) => x.sin(),
  "aten::cos": (x) => x.cos(),
  "aten::relu": (x) => x.relu(),
  "aten::sigmoid": (x) => x.sigmoid(),
  "aten::silu": (x) => ops.silu(x),
  "aten::gelu": (x) => ops.gelu(x),
  "rfdetr::gelu": (x) => nn.mlp(layers, x, "gelu"),
  "aten::softmax": (x) => x.softmax(1),
  "aten::linear": (x) => ops.linear(x, weight, { bias }),
  "aten::matmul": (x) => x.matmul(x.transpose(2, 3)),
  "aten::conv2d": (x) => ops.conv2d(x, kernel, { stride: 2, padding: 1 }),
  "aten::conv_transpose2d": (x) => ops.convTranspose2d(x, spread, { stride: 2 }),
  "aten::layer_norm": (x) => ops.layerNorm(x, [6], { weight: gain, bias: gain, eps: 1e-3 }),
  "aten::amax": (x) => x.amax(2),
  "aten::sum": (x) => x.sum(-1, true),
  "aten::topk": (x) => x.topk(3, 3)[0],
  "aten::embedding": (x) =>
    ops.embedding(weight.mul(1), x.flatten(1).topk(3)[1].mul(0)).add(x.amax(3).amax(2, true).amax(1, true)),
  "aten::index_select": (x) => x.indexSelect(-1, tensor([5, 0, 1], { dtype: "int64" })),
  "aten::gather": (x) => x.flatten(1).gather(1, x.flatten(1).topk(4)[1]),
  "aten::grid_sampler": (x) => ops.gridSampler(x, grid, 0, 0, false),
  "aten::upsample_bilinear2d": (x) => ops.upsampleBilinear2d(x, [9, 5], false),
  "aten::cat": (x) => ops.cat([x, x.mul(-1)], { dim: 1 }),
  "aten::stack": (x) => ops.stack([x, x.mul(2)], { dim: -1 }),
  "aten::chunk": (x) => x.chunk(3, -1)[1],
  "aten::split_with_sizes": (x) => x.split([2, 4], -1)[1],
  "aten::unbind": (x) => x.unbind(2)[3],
  "aten::select": (x) => x.select(1, 2),
  "aten::narrow": (x) => x.narrow(3, 1, 4),
  "aten::slice": (x) => x.slice(3, 1, undefined, 2),
  "aten::view": (x) => x.contiguous().view(2, 12, 6),
  "aten::reshape": (x) => x.reshape(6, -1),
  "aten::flatten": (x) => x.flatten(1, 2),
  "aten::unflatten": (x) => x.unflatten(3, [2, 3]),
  "aten::unsqueeze": (x) => x.unsqueeze(2),
  "aten::squeeze": (x) => x.narrow(1, 0, 1).squeeze(1),
  "aten::permute": (x) => x.permute(3, 0, 2, 1),
  "aten::transpose": (x) => x.transpose(-1, 1),
  "aten::expand": (x) => x.amax(3, true).expand([-1, -1, -1, 5]),
  "aten::arange": (x) => x.add(ops.arange(6, { dtype: "float32" })),
  "aten::detach": (x) => x.detach().mul(2),
  "aten::contiguous": (x) => x.transpose(1, 2).contiguous(),
  "aten::clone": (x) => x.clone().mul(2),
  "aten::_to_copy": (x) => x.mul(4).to("int64").to("float32"),
};

const layers = [layer(6, 6), layer(6, 6)];

function layer(from: number, to: number): nn.Linear {
  const made = new nn.Linear(from, to);
  for (const parameter of made.parameters()) parameter.copyFrom(new Float32Array(parameter.numel).fill(0.1));
  return made;
}

describe("the table of operators", () => {
  it("has a case for every row", () => {
    expect(Object.keys(cases).sort()).toEqual(Object.keys(operatorRules).sort());
  });

  it.each(Object.entries(cases))("%s", async (name, body) => {
    const { graph, ours, theirs } = await both(body);
    const layouts = ["aten::detach", "aten::contiguous", "aten::clone", "aten::arange"];
    if (!layouts.includes(name)) expect(graph.nodes.map(({ origin }) => origin.operator)).toContain(name);
    expect(theirs.length).toBe(ours.length);
    theirs.forEach((value, i) => {
      expect(value).toBeCloseTo(Number(ours[i]), 4);
    });
  });

  it("names an operator that it does not have, with its module", () => {
    expect(() =>
      makeGraph(
        modelOf((x) => ops.tanh(x)),
        { batch: 1, height: 4, width: 6 },
      ),
    ).toThrow("Expected operators that ONNX files can hold but the model uses aten::tanh");
  });

  it("refuses an operator that writes into its input", () => {
    expect(() =>
      makeGraph(
        modelOf((x) => x.mul(1).add_(1)),
        { batch: 1, height: 4, width: 6 },
      ),
    ).toThrow("aten::add_");
  });
});

describe("an open batch", () => {
  it("keeps what follows the batch as operators", async () => {
    const numbered: Body = (x) => {
      const [batch] = x.shape;
      const counted = ops.arange(batch, { dtype: "int64" }).mul(3).view(batch, 1);
      const learned = gain
        .view(1, 6)
        .expand([batch * 2, -1])
        .reshape(batch, 12);
      const rows = x.flatten(2).topk(1)[1].view(batch, 3).mul(0).add(counted);
      return ops.embedding(x.flatten(0, 1).flatten(1), rows).flatten(1).narrow(1, 0, 12).add(learned);
    };
    const { graph, ours, theirs } = await both(numbered, "dynamic");
    expect(graph.inputs[0].shape).toEqual([{ batch: 1 }, 3, 4, 6]);
    expect(graph.nodes.map(({ op }) => op)).toEqual(expect.arrayContaining(["Shape", "Range", "Expand"]));
    expect([...theirs]).toEqual([...(ours as Float32Array)]);
  });
});

describe("sampling by gathers", () => {
  it.each([2, "dynamic"] as const)(
    "gives what GridSample gives, beyond the border too, for batch %s",
    async (batch) => {
      // Points up to twice the size of the map away from its middle, on pixels and between them.
      const sample: Body = (x) => ops.gridSampler(x, x.narrow(1, 0, 2).permute(0, 2, 3, 1).mul(2), 0, 0, false);
      const { graph, ours, theirs } = await both(sample, batch, gatherSampling);
      expect(graph.nodes.map(({ op }) => op)).not.toContain("GridSample");
      theirs.forEach((value, i) => {
        expect(value).toBeCloseTo(Number(ours[i]), 5);
      });
    },
  );

  it("refuses sampling of another kind", () => {
    const graph = makeGraph(
      modelOf((x) => ops.gridSampler(x, grid, 1, 0, false)),
      { batch: 2, height: 4, width: 6 },
    );
    expect(() => gatherSampling(graph)).toThrow("Expected bilinear sampling with zero padding");
  });
});

it("makes constants of what does not depend on the images, under the names of the state dict", () => {
  const table = randn([1, 1, 1, 6]);
  const body: Body = (x) => x.mul(table).add(table.exp().mul(2));
  const graph = makeGraph(modelOf(body, { "embeddings.table": table }), { batch: 1, height: 4, width: 6 });
  expect(graph.nodes.filter(({ outputs }) => outputs[0].name !== "labels").map(({ op }) => op)).toEqual(["Mul", "Add"]);
  expect(graph.constants()[0].name).toBe("embeddings.table");
});
