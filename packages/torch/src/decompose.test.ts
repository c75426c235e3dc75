import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decompositionOf } from "./decompose.js";
import { operator } from "./dispatch.js";
import { manualSeed, nn, ops, randn, scope, type Tensor } from "./index.js";

const mlp = operator("rfdetr::mlp");

class Perceptron extends nn.Module {
  layers: nn.Linear[];
  constructor(widths: readonly number[]) {
    super();
    this.layers = widths.slice(1).map((width, i) => new nn.Linear(widths[i], width));
  }
  override forward(x: Tensor, one: boolean, activation: nn.Activation): Tensor {
    const args = [
      x,
      this.layers.map((layer) => layer.weight),
      this.layers.map((layer) => layer.bias as Tensor),
      activation,
    ] as const;
    return one ? ops.mlp(...args) : (decompositionOf(mlp)?.run(args) as Tensor);
  }
}

describe("decompositionOf", () => {
  it("knows nothing of an operator that is not fused", () => {
    expect(decompositionOf(operator("aten::relu"))).toBeUndefined();
  });

  it("of a perceptron is exact, and has the same bits in outputs and gradients", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 4 }),
        fc.constantFrom("relu", "gelu"),
        fc.constantFrom("float32", "float64"),
        fc.integer({ min: 0, max: 1000 }),
        (widths, activation, dtype, seed) => {
          manualSeed(seed);
          const model = new Perceptron(widths).to(dtype);
          const x = randn([3, 2, widths[0]]).to(dtype);
          const run = (one: boolean): number[][] =>
            scope(() => {
              const y = model.call(x, one, activation) as Tensor;
              y.pow(2).sum().backward();
              const tensors = [y, ...model.parameters().map((parameter) => parameter.grad as Tensor)];
              const values = tensors.map((tensor) => [...(tensor.flatten().toArray() as Float32Array)]);
              for (const parameter of model.parameters()) parameter.grad = null;
              return values;
            });
          expect(run(false)).toEqual(run(true));
        },
      ),
      { numRuns: 30 },
    );
  });

  it("finds the layers among the children of the running module, so that their paths are known", () => {
    class Asking extends nn.Module {
      layers = [new nn.Linear(4, 3), new nn.Linear(3, 2)];
      stranger = new nn.Linear(2, 2).weight.narrow(0, 0, 1);
      override forward(): (string | undefined)[] {
        return [...this.layers.map((layer) => layer.weight), this.stranger].map(
          (weight) => nn.layerOfWeight(weight)?.path,
        );
      }
    }
    const asking = new Asking();
    asking.name("head");
    expect(asking.call()).toEqual(["head.layers.0", "head.layers.1", undefined]);
  });
});
