import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, it } from "vitest";
import {
  checkpoint,
  nn,
  noGrad,
  ops,
  ProfileError,
  type ProfileEvent,
  profile,
  randn,
  scope,
  span,
  type Tensor,
} from "../index.js";

class Block extends nn.Module {
  first = new nn.Linear(4, 8);
  second = new nn.Linear(8, 4);
  forward(x: Tensor): Tensor {
    return this.second.call(this.first.call(x).relu());
  }
}

class Model extends nn.Module {
  layers = [new Block(), new Block()];
  forward(x: Tensor): Tensor {
    return this.layers.reduce((value, layer) => layer.call(value), x);
  }
}

function train(model: Model, options: { shapes?: boolean } = {}): readonly ProfileEvent[] {
  const { profile: recorded } = profile(() => {
    scope(() => {
      const output = model.call(randn([3, 4]));
      const loss = span("loss", () => output.mul(output).sum());
      loss.backward();
    });
  }, options);
  return recorded.events;
}

const named = (events: readonly ProfileEvent[], name: string) => events.filter((event) => event.name === name);

it("records modules in the order of their forwards, each inside its parent", () => {
  const events = train(new Model());
  const modules = events.filter(({ kind }) => kind === "module");
  expect(modules.map(({ name, module }) => `${name} ${module}`)).toEqual([
    "Model ",
    "Block layers.0",
    "Linear layers.0.first",
    "Linear layers.0.second",
    "Block layers.1",
    "Linear layers.1.first",
    "Linear layers.1.second",
  ]);
  expect(modules.slice(1).map(({ parent }) => events[parent].module)).toEqual([
    "",
    "layers.0",
    "layers.0",
    "",
    "layers.1",
    "layers.1",
  ]);
});

it("puts an operator into the innermost module and span around it", () => {
  const events = train(new Model());
  expect(named(events, "aten::relu").map(({ module, span, phase }) => ({ module, span, phase }))).toEqual([
    { module: "layers.0", span: null, phase: "forward" },
    { module: "layers.1", span: null, phase: "forward" },
  ]);
  expect(named(events, "aten::mul").find(({ phase }) => phase === "forward")).toMatchObject({
    module: null,
    span: "loss",
  });
});

it("gives a backward node to the module whose forward made it, with all that it runs", () => {
  const events = train(new Model());
  const nodes = events.filter(({ kind }) => kind === "backward");
  const where = (name: string) => named(nodes, name).map(({ module, span }) => module ?? span);
  expect(where("ReluBackward0")).toEqual(["layers.1", "layers.0"]);
  expect(where("LinearBackward")).toEqual(["layers.1.second", "layers.1.first", "layers.0.second", "layers.0.first"]);
  expect(where("MulBackward0")).toEqual(["loss"]);
  expect(named(nodes, "LinearBackward").map(({ forward }) => [events[forward].name, events[forward].module])).toEqual([
    ["aten::linear", "layers.1.second"],
    ["aten::linear", "layers.1.first"],
    ["aten::linear", "layers.0.second"],
    ["aten::linear", "layers.0.first"],
  ]);
  for (const product of named(events, "aten::mm"))
    expect(product).toMatchObject({ phase: "backward", module: events[product.parent].module });
});

it("gives the accumulation of a gradient to the module that used the weight", () => {
  const nodes = named(train(new Model()), "AccumulateGrad");
  expect(nodes.map(({ module }) => module)).toEqual(
    ["layers.1.second", "layers.1.first", "layers.0.second", "layers.0.first"].flatMap((path) => [path, path]),
  );
});

it("finds the forward of every node in the same way from step to step", () => {
  const model = new Model();
  const { profile: both } = profile(() => {
    for (let step = 0; step < 2; step++)
      span(`step ${step}`, () => scope(() => span("forward", () => model.call(randn([3, 4])).sum()).backward()));
  });
  const relus = both.events.filter(({ name }) => name === "ReluBackward0");
  expect(relus.map(({ module, span }) => `${module} of ${span}`)).toEqual([
    "layers.1 of step 0/forward",
    "layers.0 of step 0/forward",
    "layers.1 of step 1/forward",
    "layers.0 of step 1/forward",
  ]);
});

it("says nothing of a forward that was not recorded", () => {
  const model = new Model();
  scope(() => {
    const loss = model.call(randn([3, 4])).sum();
    const { events } = profile(() => loss.backward()).profile;
    const relus = named(events, "ReluBackward0");
    expect(relus.map(({ module, forward }) => [module, forward])).toEqual([
      [null, -1],
      [null, -1],
    ]);
  });
});

it("counts what a checkpoint computes again to backward, under its own modules", () => {
  const model = new Model();
  const { events } = profile(() =>
    scope(() =>
      checkpoint(([x]) => model.call(x), [randn([3, 4])], model.parameters())
        .sum()
        .backward(),
    ),
  ).profile;
  expect(named(events, "aten::relu").map(({ module, phase }) => `${module} ${phase}`)).toEqual([
    "layers.0 forward",
    "layers.1 forward",
    "layers.0 backward",
    "layers.1 backward",
  ]);
  expect(named(events, "ReluBackward0").map(({ module }) => module)).toEqual(["layers.1", "layers.0"]);
});

it("knows the module that it was started in", () => {
  let events: readonly ProfileEvent[] = [];
  class Watched extends nn.Module {
    inner = new nn.Linear(2, 2);
    forward(x: Tensor): Tensor {
      const { result, profile: recorded } = profile(() => this.inner.call(x).relu());
      events = recorded.events;
      return result;
    }
  }
  noGrad(() => new Watched().call(randn([1, 2])));
  expect(named(events, "aten::relu").map(({ module }) => module)).toEqual([""]);
  expect(named(events, "aten::addmm").map(({ module }) => module)).toEqual(["inner"]);
});

it("nests events: each lies inside its parent, and those of one parent follow each other", () => {
  const model = new Model();
  const { events, nanoseconds } = profile(() =>
    scope(() =>
      model
        .call(randn([3, 4]))
        .sum()
        .backward(),
    ),
  ).profile;
  const last = new Map<number, number>();
  for (const { start, end, parent } of events) {
    expect(end).toBeGreaterThanOrEqual(start);
    expect(start).toBeGreaterThanOrEqual(Math.max(parent < 0 ? 0 : events[parent].start, last.get(parent) ?? 0));
    expect(end).toBeLessThanOrEqual(parent < 0 ? nanoseconds : events[parent].end);
    last.set(parent, end);
  }
});

it("records dtypes and shapes where asked for, of tensors in lists too", () => {
  const events = profile(() => scope(() => ops.cat([randn([2, 3]), randn([4, 3]).to("bfloat16")])), { shapes: true })
    .profile.events;
  expect(named(events, "aten::cat").map(({ inputs, outputs }) => ({ inputs, outputs }))).toEqual([
    {
      inputs: [
        { dtype: "float32", shape: [2, 3] },
        { dtype: "bfloat16", shape: [4, 3] },
      ],
      outputs: [{ dtype: "float32", shape: [6, 3] }],
    },
  ]);
  expect(train(new Model()).every(({ inputs, outputs }) => inputs === null && outputs === null)).toBe(true);
});

it("returns the body's result, and counts from zero each time", () => {
  const x = randn([2]);
  const first = profile(() => x.relu().shape);
  const second = profile(() => x.neg().shape);
  expect(first.result).toEqual([2]);
  expect(second.profile.events.map(({ name }) => name)).toEqual(["aten::neg"]);
  expect(second.profile).toMatchObject({ dropped: 0, threads: 1 });
});

it("refuses a profile inside a profile, and the outer one goes on", () => {
  const { events } = profile(() => {
    expect(() => profile(() => 0)).toThrow(ProfileError);
    return scope(() => randn([2]).relu().shape);
  }).profile;
  expect(named(events, "aten::relu")).toHaveLength(1);
});

it("ends when the body throws: what it threw comes out, and the next profile knows nothing of it", () => {
  const model = new Model();
  const failing = () =>
    span("failing", () => {
      model.call(randn([3, 5]));
    });
  expect(() => profile(failing)).toThrow(/in module layers\.0\.first/);
  model.call(randn([3, 4]));
  const { events } = profile(() => scope(() => randn([2]).relu().shape)).profile;
  expect(events.filter(({ parent }) => parent < 0).map(({ name, module, span }) => ({ name, module, span }))).toEqual([
    { name: "aten::randn", module: null, span: null },
    { name: "aten::relu", module: null, span: null },
  ]);
});

it("refuses a body that returns a promise", () => {
  expect(() => profile(() => Promise.resolve(1))).toThrow(
    "Expected a synchronous body for profile but received one that returns a promise",
  );
  expect(profile(() => 1).result).toBe(1);
});

it("records other threads too, each as a thread of its own, and lets none of them start a second profile", async () => {
  const engine = new URL("../../dist/index.js", import.meta.url).href;
  const turns = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(
    `const { workerData: turns, parentPort } = require("node:worker_threads");
     import(${JSON.stringify(engine)}).then(({ profile, randn, scope }) => {
       parentPort.postMessage("ready");
       Atomics.wait(turns, 0, 0);
       scope(() => randn([2]).relu());
       let code;
       try { profile(() => 0); } catch (error) { code = error.code; }
       parentPort.postMessage(code);
       Atomics.store(turns, 1, 1);
       Atomics.notify(turns, 1);
     });`,
    { eval: true, workerData: turns },
  );
  await once(worker, "message");
  const { events, threads } = profile(() => {
    scope(() => randn([2]).neg());
    Atomics.store(turns, 0, 1);
    Atomics.notify(turns, 0);
    Atomics.wait(turns, 1, 0);
  }).profile;
  expect(threads).toBe(2);
  expect(
    [named(events, "aten::neg"), named(events, "aten::relu")].map(([{ thread, module }]) => ({ thread, module })),
  ).toEqual([
    { thread: 0, module: null },
    { thread: 1, module: null },
  ]);
  expect(await once(worker, "message")).toEqual(["ERR_PROFILE"]);
  await once(worker, "exit");
});
