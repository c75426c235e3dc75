import { getRngState, memory, nn, noGrad, ops, randn, scope, type Tensor, tensor } from "@rfdetr/torch";
import { afterEach, describe, expect, it } from "vitest";
import { Autocast } from "../autocast/autocast.js";
import type { Precision } from "../names.js";
import { type Fault, faultEvidence, faultHeadline } from "../numerics/fault.js";
import { parseRecord, recordLine } from "../numerics/record-line.js";
import { replay } from "./replay.js";

/** A small perceptron with a place to spoil an activation or a gradient. */
class Net extends nn.Module {
  stem = new nn.Linear(4, 6);
  blocks = Array.from({ length: 3 }, () => new Block());
  head = new nn.Linear(6, 2);
  override forward(x: Tensor): Tensor {
    return this.head.call(
      this.blocks.reduce((y, block) => block.call(y) as Tensor, this.stem.call(x) as Tensor),
    ) as Tensor;
  }
}
class Block extends nn.Module {
  inner = new nn.Linear(6, 6);
  spoil: (y: Tensor) => Tensor = (y) => y;
  override forward(x: Tensor): Tensor {
    return this.spoil(ops.gelu(this.inner.call(x) as Tensor));
  }
}

const net = new Net();
const clean = net.blocks[1].spoil;
const stem = net.stem.weight.toArray() as Float32Array;
afterEach(() => {
  net.blocks[1].spoil = clean;
  net.stem.weight.detach().copyFrom(stem);
});

const report = (options: { precision?: Precision; scale?: number; images?: Tensor; target?: Tensor } = {}): Fault => {
  const { precision = "32-true", scale = 1 } = options;
  const images = options.images ?? randn([3, 4]);
  const target = options.target ?? randn([3, 2]);
  const autocast = new Autocast(precision, { emulateFloat16: true });
  const run = (): void =>
    scope(() =>
      autocast
        .run(() => net.call(images) as Tensor)
        .float()
        .sub(target)
        .pow(2)
        .mean()
        .mul(scale)
        .backward(),
    );
  return replay({
    model: net,
    inputs: [["images", images]],
    run,
    rngState: getRngState(),
  });
};

describe("a value that is not finite is named where it came up", () => {
  it("in an image", () => {
    const { phase, module, inputs } = report({ images: tensor([[1, 2, Number.NaN, 4]]).expand([3, 4]) });
    expect([phase, module, inputs[0].nan]).toEqual(["input", "images", 3]);
  });

  it("in a weight", () => {
    noGrad(() => net.stem.weight.select(0, 2).fill_(Number.NaN));
    expect(report()).toMatchObject({ phase: "weight", module: "stem.weight", weights: [{ nan: 4, infinite: 0 }] });
  });

  it("in an activation", () => {
    net.blocks[1].spoil = (y) => y.div(0);
    const found = report();
    expect(found).toMatchObject({
      phase: "forward",
      module: "blocks.1",
      operator: "div",
      output: { dtype: "float32" },
    });
    expect(found.trail.map((t) => t.path)).toEqual([
      "stem",
      "blocks.0.inner",
      "blocks.0",
      "blocks.1.inner",
      "blocks.1",
    ]);
  });

  it("in a gradient", () => {
    net.blocks[1].spoil = (y) => {
      y.registerHook((gradient) => gradient.mul(Number.NaN));
      return y;
    };
    const found = report();
    expect(found).toMatchObject({ phase: "backward", module: "blocks.1.inner", bad_parameter: "stem.weight" });
    // stem, and the two inner layers before the fault: weights and biases.
    expect(found.bad_parameters).toBe(6);
  });

  it("in a target", () => {
    expect(report({ target: tensor([[1, Number.NaN]]).expand([3, 2]) })).toMatchObject({
      phase: "target",
      module: null,
      operator: "sub",
    });
  });

  it("in the loss", () => {
    expect(report({ target: tensor([[1, 1e30]]).expand([3, 2]) })).toMatchObject({ phase: "loss", operator: "pow" });
  });

  it("nowhere, when the replay stays finite", () => {
    const found = report();
    expect([found.phase, found.bad_parameter, found.trail]).toEqual(["none", null, []]);
    expect(faultHeadline(found)).toMatch(/stayed finite/);
  });
});

it("weights are told from inputs by the operator's own argument names", () => {
  const norm = new nn.LayerNorm(4);
  noGrad(() => norm.weight.mul_(1e38));
  const x = tensor([[1, 2, 3, 1e4]]);
  const found = replay({
    model: norm,
    inputs: [["x", x]],
    run: () => scope(() => void norm.call(x).mul(1e38)),
  });
  // The norm itself is finite, its product outside of the module is not.
  expect(found).toMatchObject({ phase: "loss", operator: "mul" });
  noGrad(() => norm.weight.mul_(3));
  const inside = replay({
    model: norm,
    inputs: [["x", x]],
    run: () => scope(() => void norm.call(x)),
  });
  expect(inside).toMatchObject({
    phase: "forward",
    operator: "layer_norm",
    inputs: [{ name: "input" }],
    weights: [{ name: "weight" }, { name: "bias" }],
  });
});

describe("in 16-mixed", () => {
  it("an activation past 65504 is named", () => {
    net.blocks[1].spoil = (y) => y.mul(0).add(300);
    noGrad(() => net.blocks[2].inner.weight.fill_(100));
    const found = report({ precision: "16-mixed" });
    noGrad(() => net.blocks[2].inner.weight.fill_(0.1));
    expect(found).toMatchObject({
      phase: "forward",
      module: "blocks.2.inner",
      operator: "linear",
      output: { dtype: "float16" },
    });
    expect(found.inputs[0]).toMatchObject({ name: "input", min: 300, max: 300 });
    expect(found.weights.map((w) => [w.name, w.max])).toContainEqual(["blocks.2.inner.weight", 100]);
  });

  it("a gradient past 65504 is named with its parameter", () => {
    const found = report({ precision: "16-mixed", scale: 2 ** 40 });
    expect(found).toMatchObject({ phase: "backward", bad_parameter: "stem.weight" });
  });
});

it("the fault reads as text and survives as a record", () => {
  net.blocks[1].spoil = (y) => y.div(0);
  const found = report();
  expect(faultHeadline(found)).toBe("first not finite in the output of blocks.1 (div)");
  expect(faultEvidence(found)).toMatch(/blocks\.0\.inner +linear +float32/);
  expect(parseRecord(recordLine(found))).toEqual(found);
});

it("leaves gradients, hooks and tensors as they were", () => {
  report();
  expect(net.parameters().every((p) => p.grad === null)).toBe(true);
  const before = memory().liveTensors;
  scope(() => report());
  expect(memory().liveTensors).toBe(before);
});
