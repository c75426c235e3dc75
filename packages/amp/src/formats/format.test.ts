import { intercept, memory, nn, noGrad, ops, randn, scope, type Tensor, tensor, zeros } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { Autocast } from "../autocast/autocast.js";
import { observe } from "../observe.js";
import { linearInFormat } from "./format-linear.js";
import { type NumberFormatName, numberFormatNames, numberFormats } from "./number-format.js";
import { roundMatrix } from "./round.js";

/** The matrix that a format represents. */
function represented(x: Tensor, name: NumberFormatName, direction: "forward" | "backward"): Tensor {
  const format = numberFormats[name];
  const { values, scale } = roundMatrix(x, format[direction], format);
  return scale === null ? values : values.mul(scale);
}

const largest = (x: Tensor): number => x.abs().amax().item();

describe.each(numberFormatNames.map((name) => [name]))("a linear layer in %s", (name) => {
  const make = () => {
    const x = randn([3, 40, 64]);
    const weight = randn([48, 64]).mul(0.1);
    const bias = randn([48]);
    for (const each of [x, weight, bias]) each.requiresGrad = true;
    return { x, weight, bias, gradient: randn([3, 40, 48]) };
  };

  it("multiplies rounded operands, with blocks along the sum", () => {
    const { x, weight, bias } = make();
    const y = linearInFormat(x, weight, bias, numberFormats[name]);
    const exact = noGrad(() => {
      const a = represented(x.reshape(120, 64), name, "forward").double();
      const b = represented(weight, name, "forward").double();
      return a.matmul(b.t()).add(bias.double()).reshape(3, 40, 48);
    });
    expect(largest(y.double().sub(exact))).toBeLessThan(1e-4);
    expect(y.dtype).toBe("float32");
  });

  it("multiplies rounded gradients in backward, with blocks along the sums of backward", () => {
    const { x, weight, bias, gradient } = make();
    linearInFormat(x, weight, bias, numberFormats[name]).backward(gradient);
    noGrad(() => {
      const rows = gradient.reshape(120, 48);
      const toInput = represented(rows, name, "backward").matmul(represented(weight.t(), name, "forward").t());
      const toWeight = represented(rows.t(), name, "backward").matmul(
        represented(x.reshape(120, 64).t(), name, "forward").t(),
      );
      expect(largest((x.grad as Tensor).reshape(120, 64).sub(toInput))).toBeLessThan(2e-4);
      expect(largest((weight.grad as Tensor).sub(toWeight))).toBeLessThan(2e-3);
      expect(largest((bias.grad as Tensor).sub(rows.sum(0)))).toBeLessThan(1e-4);
    });
  });

  it("passes an infinity on, of activations and of gradients", () => {
    for (const broken of ["x", "gradient"] as const) {
      const made = make();
      noGrad(() => ops.fill_(made[broken].narrow(0, 1, 1).narrow(1, 3, 1).narrow(2, 5, 1), Infinity));
      const y = linearInFormat(made.x, made.weight, null, numberFormats[name]);
      y.backward(made.gradient);
      const passed = broken === "x" ? [y, made.weight.grad] : [made.x.grad, made.weight.grad];
      for (const each of passed) expect(Number.isFinite(largest(each as Tensor))).toBe(false);
    }
  });

  it("takes no rows, forward and backward", () => {
    const { weight, bias } = make();
    const x = zeros([0, 64]);
    x.requiresGrad = true;
    const y = linearInFormat(x, weight, bias, numberFormats[name]);
    y.backward(zeros([0, 48]));
    expect([y.shape, x.grad?.shape]).toEqual([
      [0, 48],
      [0, 64],
    ]);
    expect(largest(weight.grad as Tensor) + largest(bias.grad as Tensor)).toBe(0);
  });

  it("leaves no tensor behind", () => {
    const { x, weight, gradient } = make();
    const before = memory().liveTensors;
    scope(() => {
      linearInFormat(x, weight, null, numberFormats[name]).backward(gradient);
      x.grad = null;
      weight.grad = null;
    });
    expect(memory().liveTensors).toBe(before);
  });
});

it("one scale for a whole tensor lets backward round the gradient once, for both of its products", () => {
  const count = (name: NumberFormatName): number => {
    const [x, weight] = [randn([8, 64]), randn([48, 64])];
    for (const each of [x, weight]) each.requiresGrad = true;
    const y = linearInFormat(x, weight, null, numberFormats[name]);
    let rounded = 0;
    const remove = intercept(({ op, args }, next) => {
      if (op.base === "round") rounded++;
      return next(args);
    });
    y.backward(randn([8, 48]));
    remove();
    return rounded;
  };
  // Gradient, weight and input; the gradient of each row and of each column has other scales.
  expect([count("fp8"), count("fp8-rows")]).toEqual([3, 4]);
});

describe("an autocast with a number format", () => {
  class Two extends nn.Module {
    first = new nn.Linear(64, 64);
    second = new nn.Linear(64, 8);
    override forward(x: Tensor): Tensor {
      return this.second.call(nn.mlp([this.first], x, "relu"));
    }
  }

  it("concerns the layers that the policy lowers, and no others", () => {
    const net = new Two();
    net.name("");
    const x = randn([16, 64]);
    const run = (options: object) => noGrad(() => new Autocast("bf16-mixed", options).run(() => net.call(x)).float());
    const plain = run({ overrides: { "**": "fp32" } });
    const inFormat = run({ format: "mxfp4" });
    const outside = run({ format: "mxfp4", overrides: { "**": "fp32" } });
    expect(outside.sub(plain).abs().amax().item()).toBe(0);
    expect(inFormat.sub(plain).abs().amax().item()).toBeGreaterThan(0.01);
  });

  it.each(["32-true", "bf16-mixed", "16-mixed"] as const)(
    "computes in %s what its layers compute one by one",
    (precision) => {
      const net = new Two();
      net.name("");
      const dtype = { "32-true": "float32", "bf16-mixed": "bfloat16", "16-mixed": "float16" } as const;
      const x = randn([16, 64]);
      const autocast = new Autocast(precision, { format: "fp8" });
      noGrad(() => {
        const input = x.to(dtype[precision]);
        const { first, second } = net;
        const hidden = linearInFormat(input, first.weight, first.bias, numberFormats.fp8);
        const expected = linearInFormat(hidden, second.weight, second.bias, numberFormats.fp8);
        expect(
          autocast
            .run(() => net.call(x))
            .float()
            .sub(expected.float())
            .abs()
            .amax()
            .item(),
        ).toBe(0);
      });
    },
  );

  it("is seen by observers as emulated, and they do not change it", () => {
    const net = new Two();
    net.name("");
    const x = randn([16, 64]);
    const autocast = new Autocast("bf16-mixed", { format: "fp8" });
    const plain = noGrad(() => autocast.run(() => net.call(x)).float());
    const seen: string[] = [];
    const stop = observe(({ op, by }) => void (op.base === "linear" && seen.push(by)));
    const watched = noGrad(() => autocast.run(() => net.call(x)).float());
    stop();
    expect(seen).toEqual(["emulated", "emulated"]);
    expect(watched.sub(plain).abs().amax().item()).toBe(0);
  });

  it("trains: the weights get float32 gradients", () => {
    const net = new Two();
    net.name("");
    const loss = new Autocast("bf16-mixed", { format: "nvfp4" }).run(() =>
      net
        .call(randn([16, 64]))
        .float()
        .pow(2)
        .mean(),
    );
    loss.backward();
    for (const parameter of net.parameters()) {
      expect(parameter.grad?.dtype).toBe("float32");
      expect((parameter.grad as Tensor).abs().amax().item()).toBeGreaterThan(0);
    }
  });

  it("gives zero for a layer of zeros", () => {
    for (const name of numberFormatNames) {
      const y = linearInFormat(zeros([4, 32]), zeros([8, 32]), tensor(Array(8).fill(1)), numberFormats[name]);
      expect([...(y.toArray() as Float32Array)]).toEqual(Array(32).fill(1));
    }
  });
});
