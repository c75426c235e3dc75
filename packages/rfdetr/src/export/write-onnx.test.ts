// The file of a graph.
import { existsSync, mkdtempSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { readModelFile } from "../onnx/model-file.js";
import { Graph, type Origin, Value } from "./graph/graph.js";
import { type FileOptions, metadataPart, writeOnnx } from "./write-onnx.js";

const origin: Origin = { module: "head", operator: "test", call: 0, rule: "keep", moduleRule: "policy" };

/** `x + table`, for any batch, with a table of 4096 bytes. */
function addition(): Graph {
  const input = new Value("input", "float32", [{ batch: 1 }, 1024]);
  const graph = new Graph([input]);
  const table = graph.constant(
    "table",
    "float32",
    [1024],
    Float32Array.from({ length: 1024 }, (_, i) => i),
  );
  const sum = graph.value("dets", "float32", input.shape);
  graph.nodes.push(graph.node("Add", [input, table], [sum], {}, origin));
  const scaled = graph.value("labels", "float32", input.shape);
  const axis = { alpha: { float: 0.5 } };
  graph.nodes.push(graph.node("LeakyRelu", [sum], [scaled], axis, origin));
  graph.outputs = [scaled];
  return graph;
}

function written(options: Partial<FileOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "onnx-"));
  const path = join(folder, "sum.onnx");
  const data = join(folder, "sum.onnx.data");
  const external = writeOnnx(addition(), path, { path: data }, { metadata: { note: "ünï" }, version: "1", ...options });
  return { path, data, external };
}

async function run(path: string) {
  const session = await InferenceSession.create(path);
  return session.run({ input: new Tensor("float32", new Float32Array(2048).fill(-2), [2, 1024]) });
}

describe("writeOnnx", () => {
  it("writes a file that onnxruntime runs", async () => {
    const { path, data, external } = written();
    const { labels } = await run(path);
    expect([...(labels.data as Float32Array).slice(0, 4)]).toEqual([-1, -0.5, 0, 1]);
    expect(labels.dims).toEqual([2, 1024]);
    expect([external, existsSync(data)]).toEqual([false, false]);
  });

  it("writes metadata that may be continued at the end of the file", () => {
    const bytes = Buffer.concat([readFileSync(written().path), metadataPart({ later: "2" })]);
    const length = bytes.length;
    expect(readModelFile({ length, slice: (from, to) => bytes.subarray(from, to) })).toEqual({
      producer: "rfdetr",
      outputs: ["labels"],
      metadata: { note: "ünï", later: "2" },
    });
  });

  it("puts the constants of a large model into a file of their own", async () => {
    const { path, data, external } = written({ externalFrom: 4096 });
    const { labels } = await run(path);
    expect([...(labels.data as Float32Array).slice(2, 4)]).toEqual([0, 1]);
    expect([external, statSync(data).size]).toEqual([true, 4096]);
  });

  it("has inner values as outputs where they are asked for", async () => {
    const graph = addition();
    const folder = mkdtempSync(join(tmpdir(), "onnx-"));
    const also = [graph.nodes[0].outputs[0]];
    writeOnnx(graph, join(folder, "a.onnx"), { path: join(folder, "b") }, { metadata: {}, version: "1", also });
    expect(Object.keys(await run(join(folder, "a.onnx"))).sort()).toEqual(["dets", "labels"]);
  });

  it("says how far it is", () => {
    const seen: number[] = [];
    written({ progress: (done, total) => seen.push(done / total) });
    expect(seen.at(-1)).toBe(1);
  });
});
