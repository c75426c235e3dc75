// From a trace to a graph: every operator by its row of the table, constants as they are.
import { type Overrides, type Policy, PolicyRules } from "@rfdetr/amp";
import { ExportError } from "../../support/errors.js";
import { Call, elementCode, elementType } from "./call.js";
import { type ConstantData, conversion, Graph, type GraphNode, type Origin, Value } from "./graph.js";
import { operatorRules } from "./operators.js";
import type { Trace, TracedCall, TracedTensor } from "./trace.js";

/**
 * Makes the graph of a trace: `input` → `dets`, `labels` and perhaps `masks`, as the Python package names them. What
 * does not depend on the images is a constant, such as the positional embeddings of this size of image. Run `clean`
 * afterwards.
 * @param policy and overrides: those of the training; each node's origin has the rule that they give it
 * @throws ExportError for an operator that has no row; the message names it and its module
 */
export function lower(trace: Trace, { policy, overrides }: { policy: Policy; overrides: Overrides }): Graph {
  const input = new Value("input", "float32", trace.images.shape);
  const graph = new Graph([input]);
  const values = new Map<TracedTensor, Value>([[trace.images, input]]);
  const rules = new PolicyRules(policy, overrides);
  const batch = openBatchOf(graph, input);
  const read = (tensor: TracedTensor): Value => {
    const value = values.get(tensor) ?? constantOf(graph, tensor);
    values.set(tensor, value);
    return value;
  };
  const unknown = new Set<string>();
  trace.calls.forEach((traced, i) => {
    if (traced.results.every(({ bits }) => bits !== null)) return;
    const rule = operatorRules[traced.op.name];
    if (rule === undefined) {
      unknown.add(nameOf(traced));
      for (const result of traced.results) values.set(result, new Value("unknown", elementType(result), result.shape));
      return;
    }
    const { op, module } = traced;
    const moduleRule = rules.ofModule(module);
    const origin: Origin = { module, operator: op.name, call: i, rule: rules.ofOperator(op, moduleRule), moduleRule };
    const call = new Call(traced, origin, {
      graph,
      read: convertedOf(graph, traced, origin, read),
      batch: batch.value,
    });
    const made = [rule(call)].flat();
    graph.nodes.push(...call.nodes);
    for (const [j, result] of traced.results.entries()) {
      values.set(result, made[j]);
      made[j].source ??= { call: i, result: j };
    }
  });
  if (unknown.size > 0)
    throw new ExportError(`Expected operators that ONNX files can hold but the model uses ${[...unknown].join(", ")}`);
  graph.nodes.unshift(...batch.nodes);
  const outputs = { dets: trace.boxes, labels: trace.logits, ...(trace.masks && { masks: trace.masks }) };
  graph.outputs = Object.entries(outputs).map(([name, tensor]) => {
    const value = read(tensor);
    value.name = name;
    return value;
  });
  return graph;
}

/** Reads a tensor with the conversion that the model makes before the call, as a {@link conversion} node. */
function convertedOf(
  graph: Graph,
  { converted }: TracedCall,
  origin: Origin,
  read: (tensor: TracedTensor) => Value,
): (tensor: TracedTensor) => Value {
  return (tensor) => {
    const value = read(tensor);
    const dtype = converted?.get(tensor);
    if (dtype === undefined) return value;
    const made = graph.value(value.name, value.dtype, value.shape);
    const to = dtype === "float32" ? elementCode.float32 : elementCode.float16;
    graph.nodes.push(graph.node(conversion, [value], [made], { to }, { ...origin, call: -1, rule: "keep" }));
    return made;
  };
}

function nameOf({ op, module }: TracedCall): string {
  return module === "" ? `${op}` : `${op} in ${module}`;
}

/** @throws ExportError for what is neither computed nor the same for every batch */
function constantOf(graph: Graph, tensor: TracedTensor): Value {
  if (tensor.bits === null) throw new ExportError("Expected constants that are the same for every batch size");
  const name = tensor.key ?? "constant";
  return graph.constant(name, elementType(tensor), tensor.shape as number[], tensor.bits() as ConstantData);
}

/** The batch size, which is read from the images where a node needs it. */
function openBatchOf(graph: Graph, input: Value): { value: () => Value; nodes: GraphNode[] } {
  const nodes: GraphNode[] = [];
  let found: Value | null = null;
  const value = (): Value => {
    if (found !== null) return found;
    found = graph.value("batch", "int64", [1]);
    const origin: Origin = { module: "", operator: "batch", call: -1, rule: "keep", moduleRule: "policy" };
    nodes.push(graph.node("Shape", [input], [found], { start: 0, end: 1 }, origin));
    return found;
  };
  return { value, nodes };
}
