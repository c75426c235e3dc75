// What the clean-up of a graph removes and joins.
import { describe, expect, it } from "vitest";
import { clean } from "./clean.js";
import { type Attribute, type Dim, Graph, type Origin, Value } from "./graph.js";

const origin: Origin = { module: "", operator: "test", call: 0, rule: "keep", moduleRule: "policy" };

/** A graph with a means to add nodes of one result. */
function sketch(shape: readonly Dim[]) {
  const input = new Value("input", "float32", shape);
  const graph = new Graph([input]);
  return {
    graph,
    input,
    add(op: string, inputs: readonly Value[], to: readonly Dim[], attributes: Record<string, Attribute> = {}): Value {
      const value = graph.value(op, "float32", to);
      graph.nodes.push(graph.node(op, inputs, [value], attributes, origin));
      return value;
    },
    integers: (values: readonly number[]) =>
      graph.constant("integers", "int64", [values.length], BigInt64Array.from(values, BigInt)),
    /** Cleans, and lists what is left. */
    ops(...outputs: Value[]): string[] {
      graph.outputs = outputs;
      clean(graph);
      return graph.nodes.map(({ op }) => op);
    },
  };
}

describe("clean", () => {
  it("joins reshapes behind one another, and drops those that change nothing", () => {
    const { input, add, integers, ops, graph } = sketch([2, 12]);
    const flat = add("Reshape", [input, integers([24])], [24]);
    const there = add("Reshape", [flat, integers([2, 3, 4])], [2, 3, 4]);
    const back = add("Reshape", [there, integers([2, 12])], [2, 12]);
    expect(ops(add("Relu", [there], [2, 3, 4]), add("Exp", [back], [2, 12]))).toEqual(["Reshape", "Relu", "Exp"]);
    expect(graph.nodes[2].inputs[0]).toBe(input);
  });

  it("joins transpositions behind one another", () => {
    const { input, add, ops, graph } = sketch([2, 3, 4]);
    const once = add("Transpose", [input], [4, 2, 3], { perm: [2, 0, 1] });
    const twice = add("Transpose", [once], [3, 2, 4], { perm: [2, 1, 0] });
    expect(ops(add("Relu", [twice], [3, 2, 4]))).toEqual(["Transpose", "Relu"]);
    expect(graph.nodes[0].attributes.perm).toEqual([1, 0, 2]);
  });

  it("makes a reshape of a transposition that moves axes of length 1 only", () => {
    const { input, add, ops } = sketch([1, 5, 1, 4]);
    expect(ops(add("Relu", [add("Transpose", [input], [5, 1, 4, 1], { perm: [1, 0, 3, 2] })], [5, 1, 4, 1]))).toEqual([
      "Reshape",
      "Relu",
    ]);
  });

  it("computes once what two nodes compute, and joins equal constants", () => {
    const { input, add, ops, graph } = sketch([3]);
    const numbers = () => graph.constant("numbers", "float32", [3], Float32Array.of(1, 2, 3));
    const [a, b] = [add("Add", [input, numbers()], [3]), add("Add", [input, numbers()], [3])];
    expect(ops(add("Mul", [a, b], [3]))).toEqual(["Add", "Mul"]);
    expect(graph.constants()).toHaveLength(1);
  });

  it("keeps apart what the precision policy treats differently", () => {
    const { input, add, ops, graph } = sketch([3]);
    const [a, b] = [add("Relu", [input], [3]), add("Relu", [input], [3])];
    graph.nodes[1].origin = { ...origin, rule: "fp32" };
    expect(ops(add("Mul", [a, b], [3]))).toEqual(["Relu", "Relu", "Mul"]);
  });

  it("drops factors of one and what nobody reads", () => {
    const { input, add, ops, graph } = sketch([3]);
    const one = graph.constant("one", "float32", [], Float32Array.of(1));
    add("Exp", [input], [3]);
    expect(ops(add("Relu", [add("Mul", [input, one], [3])], [3]))).toEqual(["Relu"]);
  });

  it("keeps zeros that are added to floats: they make +0 of −0", () => {
    const { input, add, ops, graph } = sketch([3]);
    const zero = graph.constant("zero", "float32", [], Float32Array.of(0));
    expect(ops(add("Add", [input, zero], [3]))).toEqual(["Add"]);
  });

  it("keeps the names of outputs, and one value for each", () => {
    const { input, add, ops, graph } = sketch([3]);
    const relu = add("Relu", [input], [3]);
    const copy = add("Identity", [relu], [3]);
    relu.name = "inner";
    copy.name = "dets";
    expect(ops(copy)).toEqual(["Relu"]);
    expect(graph.outputs.map(({ name }) => name)).toEqual(["dets"]);
    const again = sketch([3]);
    const first = again.add("Relu", [again.input], [3]);
    expect(again.ops(first, again.add("Identity", [first], [3]))).toEqual(["Relu", "Identity"]);
  });
});
