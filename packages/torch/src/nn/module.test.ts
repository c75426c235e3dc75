import { describe, expect, it } from "vitest";
import { manualSeed, memory, nn, noGrad, ops, optim, randn, scope, type Tensor, tensor, zeros } from "../index.js";

class Block extends nn.Module {
  selfAttn = new nn.MultiheadAttention(8, 2);
  norm1 = new nn.LayerNorm(8);
  layers = [new nn.Linear(8, 16), new nn.Linear(16, 8)];
  gammaScale = nn.parameter(zeros([8]));
  seen = "";
  constructor() {
    super();
    this.registerBuffer("running", zeros([2]));
  }
  override forward(x: Tensor): Tensor {
    this.seen = nn.currentPath();
    const y = this.norm1.call(x.add(this.selfAttn.call(x, x, x)));
    return this.layers[1].call(ops.relu(this.layers[0].call(y))).add(this.gammaScale);
  }
}

class Root extends nn.Module {
  blocks = new nn.ModuleList([new Block(), new Block()]);
  override forward(x: Tensor): Tensor {
    let y = x;
    for (const block of this.blocks) y = block.call(y);
    return y;
  }
}

describe("Module", () => {
  it("names parameters and buffers as the Python world does", () => {
    expect([...new Block().stateDict().keys()]).toEqual([
      "gamma_scale",
      "self_attn.in_proj_weight",
      "self_attn.in_proj_bias",
      "self_attn.out_proj.weight",
      "self_attn.out_proj.bias",
      "norm1.weight",
      "norm1.bias",
      "layers.0.weight",
      "layers.0.bias",
      "layers.1.weight",
      "layers.1.bias",
      "running",
    ]);
    expect(new Root().stateDict().has("blocks.1.self_attn.out_proj.weight")).toBe(true);
  });

  it("knows its path while running", () => {
    const root = new Root();
    root.call(randn([1, 3, 8]));
    expect(root.blocks.at(1).seen).toBe("blocks.1");
    expect(nn.currentPath()).toBe("");
  });

  it("says where an operator failed", () => {
    expect(() => new Root().call(randn([1, 3, 7]))).toThrow(/in module blocks\.0\.self_attn/);
  });

  it("loads what fits and tells what does not", () => {
    const block = new Block();
    const state = new Map(block.stateDict());
    state.delete("norm1.bias");
    state.set("extra", zeros([1]));
    state.set("gamma_scale", zeros([9]));
    expect(() => block.loadStateDict(state)).toThrow(
      /missing norm1\.bias; unexpected extra; of another shape gamma_scale \(expected 8, received 9\)/,
    );
    const report = block.loadStateDict(state, { strict: false });
    expect(report.missing).toEqual(["norm1.bias"]);
    expect(report.mismatched[0].key).toBe("gamma_scale");
  });

  it("converts in place and keeps the parameter objects", () => {
    const block = new Block();
    const before = block.norm1.weight;
    block.to("float64");
    expect(block.norm1.weight).toBe(before);
    expect(before.dtype).toBe("float64");
    expect(before.requiresGrad).toBe(true);
    expect(block.call(randn([1, 2, 8], { dtype: "float64" })).dtype).toBe("float64");
  });

  it("attends as the textbook formula", () => {
    manualSeed(1);
    const attention = new nn.MultiheadAttention(4, 2).to("float64");
    const x = randn([1, 3, 4], { dtype: "float64" });
    const [q, k, v] = ops
      .linear(x, attention.inProjWeight, { bias: attention.inProjBias })
      .chunk(3, -1)
      .map((t) => t.view(1, 3, 2, 2).transpose(1, 2));
    const expected = q
      .matmul(k.transpose(-1, -2))
      .div(Math.sqrt(2))
      .softmax(-1)
      .matmul(v)
      .transpose(1, 2)
      .reshape(1, 3, 4);
    const difference = attention
      .call(x, x, x)
      .sub(ops.linear(expected, attention.outProj.weight, { bias: attention.outProj.bias }));
    expect(difference.abs().max().item()).toBeLessThan(1e-12);
  });

  it("drops and scales whole rows in DropPath", () => {
    manualSeed(3);
    const y = new nn.DropPath(0.5).call(tensor(new Float32Array(400).fill(1), { shape: [200, 2] }));
    const rows = y.toList() as number[][];
    for (const [a, b] of rows) expect([a, b]).toEqual(a === 0 ? [0, 0] : [2, 2]);
    const kept = rows.filter(([a]) => a > 0).length;
    expect(kept).toBeGreaterThan(60);
    expect(kept).toBeLessThan(140);
  });
});

describe("AdamW", () => {
  // torch.optim.AdamW([1, -2, 3], lr=0.1, weight_decay=0.01) on the loss Σ x⁴, three steps, in float64.
  it("follows torch.optim.AdamW", () => {
    const x = nn.parameter(tensor([1, -2, 3], { dtype: "float64" }));
    const optimizer = new optim.AdamW([{ params: [x], lr: 0.1, weightDecay: 0.01 }]);
    let m = [0, 0, 0];
    let v = [0, 0, 0];
    let expected = [1, -2, 3];
    for (let t = 1; t <= 3; t++) {
      optimizer.zeroGrad();
      x.pow(4).sum().backward();
      optimizer.step();
      const g = expected.map((value) => 4 * value ** 3);
      m = m.map((value, i) => 0.9 * value + 0.1 * g[i]);
      v = v.map((value, i) => 0.999 * value + 0.001 * g[i] ** 2);
      expected = expected.map(
        (value, i) =>
          value * (1 - 0.1 * 0.01) - (0.1 * (m[i] / (1 - 0.9 ** t))) / (Math.sqrt(v[i] / (1 - 0.999 ** t)) + 1e-8),
      );
    }
    (x.toList() as number[]).forEach((value, i) => expect(value).toBeCloseTo(expected[i], 12));
  });

  it("does in one pass what the foreach operators do, with the gradients scaled", () => {
    manualSeed(5);
    // 70,000 elements span more than one piece of the kernel; float64 takes the composition.
    const start = [randn([70_000]), randn([3, 5]), randn([1])];
    const gradients = start.map((t) => randn(t.shape));
    const run = (dtype: "float32" | "float64"): Tensor[] => {
      const params = start.map((t) => nn.parameter(t.to(dtype).clone()));
      const optimizer = new optim.AdamW([{ params, lr: 0.01, weightDecay: 0.1 }]);
      for (let t = 0; t < 3; t++) {
        params.forEach((p, i) => {
          p.grad = gradients[i].to(dtype).mul(t + 1);
        });
        optimizer.step({ gradientScale: 0.25 });
      }
      expect(optim.gradientNorm(params)).toBeCloseTo(
        Math.hypot(...gradients.map((g) => 3 * g.double().norm().item())),
        3,
      );
      return params;
    };
    const judge = run("float64");
    // Three float32 steps of size 0.01 from values of size 1: rounding of 1e-7 each.
    run("float32").forEach((p, i) => expect(p.double().sub(judge[i]).abs().max().item()).toBeLessThan(2e-6));
  });

  it("sees a NaN or an overflow in the norm", () => {
    const p = nn.parameter(zeros([2000]));
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      p.grad = zeros([2000]);
      p.grad?.narrow(0, 1500, 1).fill_(bad);
      expect(Number.isFinite(optim.gradientNorm([p]))).toBe(false);
    }
    p.grad = zeros([2000]).add(1e30);
    expect(optim.gradientNorm([p])).toBeCloseTo(1e30 * Math.sqrt(2000), -26);
  });

  it("goes on from a saved state", () => {
    const run = (restart: boolean): number[] => {
      let x = nn.parameter(tensor([1, -2, 3]));
      let optimizer = new optim.AdamW([{ params: [x], lr: 0.1, weightDecay: 0 }]);
      for (let t = 0; t < 6; t++) {
        if (restart && t === 3) {
          const saved = optimizer.stateDict();
          x = nn.parameter(x.detach().clone());
          const fresh = new optim.AdamW([{ params: [x], lr: 0.1, weightDecay: 0 }]);
          fresh.loadStateDict(saved);
          optimizer = fresh;
        }
        optimizer.zeroGrad();
        x.pow(4).sum().backward();
        optimizer.step();
      }
      return x.toList() as number[];
    };
    expect(run(true)).toEqual(run(false));
  });

  it("clips by the global norm", () => {
    const a = nn.parameter(zeros([2]));
    const b = nn.parameter(zeros([1]));
    a.grad = tensor([3, 0]);
    b.grad = tensor([4]);
    const { norm, factor } = optim.clipGradNorm([a, b], 1);
    expect(norm).toBeCloseTo(5, 6);
    expect(factor).toBeCloseTo(1 / 5, 6);
    expect(b.grad?.item()).toBeCloseTo(0.8, 5);
    b.grad = tensor([Number.NaN]);
    expect(optim.clipGradNorm([a, b], 1).norm).toBeNaN();
  });
});

describe("memory", () => {
  it("does not grow over 50 training steps, and the peak is told", () => {
    const model = new Root();
    const optimizer = new optim.AdamW([{ params: model.parameters(), lr: 1e-3, weightDecay: 1e-4 }]);
    const step = (): void =>
      scope(() => {
        optimizer.zeroGrad();
        model
          .call(randn([4, 5, 8]))
          .pow(2)
          .mean()
          .backward();
        optim.clipGradNorm(optimizer.parameters, 0.1);
        optimizer.step();
      });
    step();
    step();
    const before = memory();
    for (let i = 0; i < 50; i++) step();
    const after = memory();
    expect(after.liveTensors).toBe(before.liveTensors);
    expect(after.liveBytes).toBe(before.liveBytes);
    expect(after.peakBytes).toBeGreaterThan(after.liveBytes);
  });

  it("frees the temporaries of a module at its end", () => {
    const model = new Root();
    noGrad(() =>
      scope(() => {
        const before = memory().liveTensors;
        model.call(randn([1, 3, 8]));
        expect(memory().liveTensors - before).toBe(2);
      }),
    );
  });
});
