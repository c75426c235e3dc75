// Which results leave the range of float16 on the user's images. Where training ran in 16-mixed, the policy and its
// overrides leave none; a model that was trained in bfloat16 or float32 may have some.
import type { Graph, GraphNode, Value } from "../graph/graph.js";
import type { ProofImages } from "../proof/proof-images.js";
import { type LowPrecision, largest } from "./convert-constant.js";
import { picturesOf } from "./forms.js";
import type { BeyondRange } from "./lower-precision.js";
import { layouts } from "./move-casts.js";
import { RunningGraph } from "./run-graph.js";

/** Images that are enough: a result that grows with the image does so on most of them. */
const most = 8;

/** What a measurement found. */
export interface Overflow {
  /** The operators whose results are beyond the range. */
  beyond: BeyondRange[];
  /** The calls to keep in float32: those that compute the results, and those that read them. */
  raised: Set<number>;
}

/**
 * Runs the model in float32 and finds results that the low precision cannot hold.
 * @param lowered the graph whose low values are looked at
 * @param single the same in float32, for one image; it gets nodes that measure
 * @param path where to write its file
 */
export async function beyondRange(
  lowered: Graph,
  single: Graph,
  images: ProofImages,
  { path, dtype }: { path: string; dtype: LowPrecision },
): Promise<Overflow> {
  const low = lowKeys(lowered, dtype);
  const readers = single.readers();
  const measured = new Map<Value, { output: Value; node: GraphNode }>();
  single.rewrite((node) => {
    const [output] = node.outputs;
    const own = key(output);
    if (own === null || !low.has(own) || output.dtype !== "float32") return [node];
    const sizes = single.value(`${output.name}.sizes`, "float32", output.shape);
    const amax = single.value(`${output.name}.amax`, "float32", []);
    measured.set(amax, { output, node });
    return [
      node,
      single.node("Abs", [output], [sizes], {}, node.origin),
      single.node("ReduceMax", [sizes], [amax], { keepdims: 0 }, node.origin),
    ];
  });
  const found = new Map<number, BeyondRange>();
  const raised = new Set<number>();
  const running = await RunningGraph.open(single, path, [...measured.keys()]);
  try {
    for await (const { pixels, size } of picturesOf(images, most)) {
      const { values } = await running.run(pixels, size);
      [...measured.values()].forEach(({ output, node: { op, origin } }, i) => {
        const { call, module, operator } = origin;
        const amax = Math.max(values[i][0], found.get(call)?.amax ?? 0);
        if (amax <= largest[dtype]) return;
        if (!layouts.has(op)) found.set(call, { call, module, operator, amax });
        for (const each of [call, ...(readers.get(output) ?? []).map((reader) => reader.origin.call)]) raised.add(each);
      });
    }
  } finally {
    await running.release();
  }
  return { beyond: [...found.values()], raised };
}

/** The values that are low, or that casts read to make them so. */
function lowKeys(graph: Graph, dtype: LowPrecision): Set<string | null> {
  const low = graph.nodes.flatMap(({ op, inputs, outputs }) => {
    const made = outputs.filter((each) => each.dtype === dtype);
    return op === "Cast" && made.length > 0 ? [inputs[0] as Value] : made;
  });
  return new Set(low.map(key));
}

const key = ({ source }: Value): string | null => (source === null ? null : `${source.call} ${source.result}`);
