import { memory, nn, noGrad, ops, optim, randn, resetPeakMemory, scope, type Tensor, tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { Autocast } from "../autocast/autocast.js";
import { Monitor, UpdateProbe } from "./monitor.js";

class Net extends nn.Module {
  a = new nn.Linear(8, 8);
  b = new nn.Linear(8, 4);
  override forward(x: Tensor): Tensor {
    return this.b.call(ops.relu(this.a.call(x) as Tensor)) as Tensor;
  }
}

const step = (net: Net, autocast: Autocast, x: Tensor, scale = 1): void =>
  scope(() =>
    autocast
      .run(() => net.call(x))
      .float()
      .sum()
      .mul(scale)
      .backward(),
  );

describe("monitor", () => {
  it("is due on the first step and every interval-th", () => {
    const due = (interval: number): number[] => [1, 2, 3, 4, 5, 6].filter((s) => new Monitor({ interval }).due(s));
    expect(due(3)).toEqual([1, 3, 6]);
    expect(due(0)).toEqual([]);
    expect(() => new Monitor({ interval: -1 })).toThrow(/monitor's interval/);
  });

  it("tells range and dtype of every module's outputs and of their gradients", () => {
    const net = new Net();
    const monitor = new Monitor();
    const x = randn([3, 8]);
    monitor.begin();
    step(net, new Autocast("bf16-mixed"), x, 1024);
    const { forward, gradient } = monitor.end();
    expect(forward.map((m) => m.path)).toEqual(["a", "(model)", "b", "(outside of modules)"]);
    expect(forward[0].dtype).toBe("bfloat16");
    expect(gradient.find((m) => m.path === "b")?.amax).toBe(1024);
    expect(gradient.find((m) => m.path === "b")?.exponents).toEqual({ first: 10, counts: [12] });
    const expected = scope(() =>
      new Autocast("bf16-mixed")
        .run(() => net.a.call(x) as Tensor)
        .abs()
        .max()
        .item(),
    );
    expect(forward[0].amax).toBe(expected);
  });

  it("sees what is not finite", () => {
    const net = new Net();
    const monitor = new Monitor();
    monitor.begin();
    step(net, new Autocast("32-true"), tensor([[1, 2, 3, 4, 5, 6, 7, Number.POSITIVE_INFINITY]]));
    expect(monitor.end().forward.find((m) => m.path === "a")?.non_finite).toBe(1);
  });

  it("traces the largest value of a module to its place and its image", () => {
    const largest = (x: Tensor, batch?: { images: number; first: number; stacks?: number[] }) => {
      const net = new Net();
      noGrad(() => net.a.weight.copyFrom(new Float32Array(64).map((_, i) => (i % 9 === 0 ? 1 : 0))));
      noGrad(() => net.a.bias?.fill_(0));
      const monitor = new Monitor();
      monitor.begin();
      if (batch !== undefined) monitor.batch(batch);
      step(net, new Autocast("32-true"), x);
      return monitor.end().forward.find((m) => m.path === "a")?.largest;
    };
    const rows = (count: number, row: number, column: number, value: number): Tensor =>
      tensor(
        Array.from({ length: count }, (_, i) =>
          Array.from({ length: 8 }, (_, j) => (i === row && j === column ? value : 1)),
        ),
      );
    const found = { value: -7, dtype: "float32", index: [1, 5] };
    expect(largest(rows(3, 1, 5, -7))).toEqual({ ...found, image: null });
    expect(largest(rows(3, 1, 5, -7), { images: 3, first: 4 })).toEqual({ ...found, image: 5 });
    // Two rows of each image, such as windows; rows that are no multiple of the images belong to none.
    expect(largest(rows(6, 5, 0, 9), { images: 3, first: 0, stacks: [1, 2] })).toMatchObject({
      index: [5, 0],
      image: 2,
    });
    expect(largest(rows(6, 5, 0, 9), { images: 3, first: 0 })).toMatchObject({ index: [5, 0], image: null });
    expect(largest(rows(3, 2, 1, Number.NaN), { images: 3, first: 0 })).toMatchObject({
      value: Number.NaN,
      index: [2, 0],
    });
  });

  it("leaves nothing behind: no hooks, no tensors, no observer", () => {
    const net = new Net();
    const monitor = new Monitor();
    const autocast = new Autocast("bf16-mixed");
    const x = randn([3, 8]);
    step(net, autocast, x);
    const watched = (): void => {
      monitor.begin();
      step(net, autocast, x);
      monitor.end();
    };
    watched();
    const before = memory();
    for (let i = 0; i < 3; i++) watched();
    expect(memory().liveTensors).toBe(before.liveTensors);
    expect(memory().liveBytes).toBe(before.liveBytes);
  });

  it("takes no memory: what a step frees while it runs, a watched step frees too", () => {
    const x = randn([1 << 16]);
    x.requiresGrad = true;
    const peak = (): number =>
      scope(() => {
        resetPeakMemory();
        const before = memory().liveBytes;
        // Sums of which backward needs nothing: each is free when the next one is there.
        Array.from({ length: 20 })
          .reduce<Tensor>((sum) => scope(() => sum.add(1)), x)
          .sum()
          .backward();
        return memory().peakBytes - before;
      });
    const plain = peak();
    const monitor = new Monitor();
    monitor.begin();
    const watched = peak();
    expect(monitor.end().gradient[0].amax).toBe(1);
    expect(watched).toBeLessThan(1.1 * plain);
  });
});

describe("update probe", () => {
  it("measures how far weights moved and what bfloat16 weights would have lost", () => {
    const p = nn.parameter(tensor([1, 1, 2]));
    const probe = new UpdateProbe([["p", p]]);
    probe.begin();
    // bfloat16 has 8 bits: 1 + 2⁻⁷ is the next number after 1; 1 + 2⁻¹⁰ is rounded away.
    p.detach().copyFrom(new Float32Array([1 + 2 ** -7, 1 + 2 ** -10, 2]));
    const [record] = probe.end();
    expect(record.bf16_lost).toBe(0.5);
    // Norms in float32: six digits.
    expect(record.ratio).toBeCloseTo(Math.hypot(2 ** -7, 2 ** -10) / Math.hypot(1, 1, 2), 6);
    expect(probe.end()).toEqual([]);
  });

  it("leaves no tensor behind, copies and their views included", () => {
    const probe = new UpdateProbe([["p", nn.parameter(tensor([1, 1, 2]))]]);
    const before = memory().liveTensors;
    probe.begin();
    probe.end();
    expect(memory().liveTensors).toBe(before);
  });

  it("sees an optimizer's step", () => {
    const net = new Net();
    const optimizer = new optim.AdamW([{ params: net.parameters(), lr: 0.1, weightDecay: 0 }]);
    const probe = new UpdateProbe([...net.namedParameters()]);
    probe.begin();
    step(net, new Autocast("32-true"), randn([3, 8]));
    optimizer.step();
    const records = probe.end();
    expect(records.map((r) => r.name)).toEqual(["a.weight", "a.bias", "b.weight", "b.bias"]);
    for (const { ratio } of records) expect(ratio).toBeGreaterThan(0.01);
  });
});
