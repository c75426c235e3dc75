import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noGrad, ops } from "@rfdetr/torch";
import { afterAll, beforeAll, expect, it } from "vitest";
import { fillModel } from "../../instruments/peers/deterministic-fill.js";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { proofImages } from "../proof/proof-images.js";
import { preciseGraph } from "./precise-graph.js";

const config = resolveModel("tiny");
const side = config.resolution;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "float16-range-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function islandsOf(model: RFDETRModel, batch: 1 | "dynamic" = 1) {
  const images = await proofImages(null, [], [side, side], 1);
  const options = { precision: "fp16", batch, height: side, width: side, gridSample: true, images } as const;
  return await preciseGraph(model, { ...options, path: join(folder, "probe.onnx"), progress() {} });
}

it("finds nothing beyond the range of float16 in a model without large activations", async () => {
  const model = new RFDETRModel(config);
  fillModel(model);
  model.eval();
  expect((await islandsOf(model)).islands).toEqual([]);
});

it.each([1, "dynamic"] as const)(
  "names the layer whose results float16 cannot hold, and keeps it in float32 (batch %s)",
  async (batch) => {
    const model = new RFDETRModel(config);
    fillModel(model);
    model.eval();
    const [[path, layer]] = [...model.namedModules()].filter(([name]) => name.endsWith("layer.1.mlp.fc1"));
    const { weight } = layer as unknown as { weight: Parameters<typeof ops.mul_>[0] };
    noGrad(() => void ops.mul_(weight, 1e6));
    const { graph, islands } = await islandsOf(model, batch);
    expect(islands[0]).toMatchObject({ module: path });
    expect(islands[0].why).toMatch(/^aten::linear has values up to \d.*, and float16 ends at 65504$/);
    const product = graph.nodes.find(({ op, origin }) => op === "MatMul" && origin.module === path);
    expect(product?.outputs[0].dtype).toBe("float32");
    const next = graph.nodes.find(({ op, origin }) => op === "MatMul" && origin.module === path.replace("fc1", "fc2"));
    expect(next?.inputs[0]?.dtype).toBe("float32");
  },
);
