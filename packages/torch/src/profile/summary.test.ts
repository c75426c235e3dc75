import * as fc from "fast-check";
import { expect, it } from "vitest";
import { attribute } from "./attribute.js";
import { chromeTrace, type TraceEvent } from "./chrome-trace.js";
import type { Profile, ProfileEvent, RecordedEvent } from "./event.js";
import { byModule, byOperator, type ModuleTime, selfTimes } from "./summary.js";

const event = (parts: Partial<RecordedEvent>): RecordedEvent => ({
  kind: "operator",
  name: "aten::op",
  start: 0,
  end: 0,
  thread: 0,
  parent: -1,
  sequence: -1,
  forwardThread: -1,
  path: null,
  inputs: null,
  outputs: null,
  ...parts,
});

/** Forward of a module `a.b` inside the root, a loss, and their backward; nanoseconds. */
const step: Profile = {
  events: attribute([
    event({ kind: "module", name: "Model", path: "", start: 0, end: 100_000 }),
    event({ kind: "module", name: "Linear", path: "a.b", start: 10_000, end: 80_000, parent: 0 }),
    event({ name: "aten::linear", start: 20_000, end: 70_000, parent: 1, sequence: 0 }),
    event({ name: "aten::addmm", start: 25_000, end: 65_000, parent: 2 }),
    event({ kind: "span", name: "loss", start: 110_000, end: 130_000 }),
    event({ name: "aten::sum", start: 112_000, end: 128_000, parent: 4, sequence: 1 }),
    event({ kind: "engine", name: "backward", start: 140_000, end: 240_000 }),
    event({ kind: "engine", name: "evaluate_function", start: 141_000, end: 151_000, parent: 6 }),
    event({
      kind: "backward",
      name: "SumBackward0",
      start: 142_000,
      end: 150_000,
      parent: 7,
      sequence: 1,
      forwardThread: 0,
    }),
    event({ kind: "engine", name: "evaluate_function", start: 151_000, end: 231_000, parent: 6 }),
    event({
      kind: "backward",
      name: "LinearBackward",
      start: 152_000,
      end: 230_000,
      parent: 9,
      sequence: 0,
      forwardThread: 0,
    }),
    event({ name: "aten::mm", start: 153_000, end: 223_000, parent: 10 }),
    event({ kind: "engine", name: "evaluate_function", start: 231_000, end: 239_000, parent: 6 }),
    event({ kind: "backward", name: "AccumulateGrad", start: 232_000, end: 238_000, parent: 12 }),
  ]),
  nanoseconds: 250_000,
  threads: 1,
  dropped: 0,
};

it("counts an operator's own time, without that of what it calls", () => {
  const rows = byOperator(step).map(({ name, phase, calls, self, total }) => [
    name,
    phase,
    calls,
    self / 1000,
    total / 1000,
  ]);
  expect(rows).toEqual([
    ["aten::mm", "backward", 1, 70, 70],
    ["aten::addmm", "forward", 1, 40, 40],
    ["aten::sum", "forward", 1, 16, 16],
    ["aten::linear", "forward", 1, 10, 50],
    ["LinearBackward", "backward", 1, 8, 78],
    ["SumBackward0", "backward", 1, 8, 8],
    ["AccumulateGrad", "backward", 1, 6, 6],
  ]);
});

it("counts an operator that calls itself by another key once", () => {
  const events = attribute([
    event({ name: "aten::linear", start: 0, end: 100 }),
    event({ name: "aten::linear", start: 10, end: 90, parent: 0 }),
  ]);
  expect(byOperator({ ...step, events })).toMatchObject([{ name: "aten::linear", calls: 1, self: 100, total: 100 }]);
});

it("sums a module's forward and backward, its own and with all below", () => {
  const [model, loss, backward] = byModule(step);
  expect(model).toMatchObject({
    name: "Model",
    path: "",
    calls: 1,
    self: { forward: 30_000, backward: 0 },
    total: { forward: 100_000, backward: 88_000 },
  });
  const [a] = model.children;
  expect(a).toMatchObject({ name: "a", path: "a", calls: 0, self: { forward: 0, backward: 0 } });
  expect(a.children).toMatchObject([
    { name: "b", path: "a.b", calls: 1, self: { forward: 70_000, backward: 88_000 }, between: 24_000, children: [] },
  ]);
  expect(loss).toMatchObject({ name: "loss", path: null, calls: 1, total: { forward: 20_000, backward: 10_000 } });
  expect(backward).toMatchObject({ name: "(outside of modules)", total: { forward: 0, backward: 2_000 } });
});

/** Nested events of a few threads: every event ends inside its parent, siblings follow each other. */
const profiles: fc.Arbitrary<Profile> = fc
  .array(
    fc.array(
      fc.record({
        depth: fc.nat(4),
        gap: fc.nat(1000),
        kind: fc.constantFrom("operator", "backward", "module", "span", "engine"),
        name: fc.constantFrom("x", "y", "AccumulateGrad"),
        path: fc.constantFrom("", "a", "a.b", "a.c", "d.0.e"),
        sequence: fc.integer({ min: -1, max: 12 }),
      }),
      { maxLength: 40 },
    ),
    { minLength: 1, maxLength: 3 },
  )
  .map((threads) => {
    const events: RecordedEvent[] = [];
    let longest = 1;
    for (const [thread, specs] of threads.entries()) {
      let time = 0;
      const open: { index: number }[] = [];
      const close = (depth: number): void => {
        while (open.length > depth) {
          time += 1;
          const { index } = open.pop() as { index: number };
          events[index] = { ...events[index], end: time };
        }
      };
      for (const { depth, gap, kind, name, path, sequence } of specs) {
        close(depth);
        time += gap;
        const parent = open.at(-1)?.index ?? -1;
        open.push({ index: events.length });
        events.push(
          event({
            kind: kind as RecordedEvent["kind"],
            name,
            path: kind === "module" ? path : null,
            sequence: kind === "operator" || kind === "backward" ? sequence : -1,
            forwardThread: kind === "backward" ? 0 : -1,
            start: time,
            end: time,
            thread,
            parent,
          }),
        );
      }
      close(0);
      longest = Math.max(longest, time + 1);
    }
    return { events: attribute(events), nanoseconds: longest, threads: threads.length, dropped: 0 };
  });

const outer = (events: readonly ProfileEvent[]) =>
  events.filter(({ parent }) => parent < 0).reduce((sum, { start, end }) => sum + end - start, 0);

it("splits each thread's time among its events: self times are never negative and sum to that of the outermost events", () => {
  fc.assert(
    fc.property(profiles, (profile) => {
      const self = selfTimes(profile.events);
      expect(self.every((time) => time >= 0)).toBe(true);
      expect(self.reduce((a, b) => a + b, 0)).toBe(outer(profile.events));
      expect(outer(profile.events)).toBeLessThanOrEqual(profile.nanoseconds * profile.threads);
    }),
  );
});

it("loses no time on the way into the tree of modules, nor into the operators", () => {
  const flat = (nodes: readonly ModuleTime[]): ModuleTime[] => nodes.flatMap((node) => [node, ...flat(node.children)]);
  fc.assert(
    fc.property(profiles, (profile) => {
      const tree = byModule(profile);
      const totals = tree.reduce((sum, { total }) => sum + total.forward + total.backward, 0);
      expect(totals).toBe(outer(profile.events));
      expect(flat(tree).reduce((sum, { self }) => sum + self.forward + self.backward, 0)).toBe(totals);
      const between = tree.reduce((sum, node) => sum + node.between, 0);
      expect(byOperator(profile).reduce((sum, { self }) => sum + self, 0) + between).toBe(totals);
    }),
  );
});

/** What a viewer checks: slices of a thread nest, arrows start and end inside slices. */
function checkTrace(events: readonly TraceEvent[]): void {
  const nanoseconds = (microseconds: number | undefined): number => Math.round((microseconds ?? Number.NaN) * 1000);
  const slices = events
    .filter(({ ph }) => ph === "X")
    .map((e) => ({ tid: e.tid, start: nanoseconds(e.ts), end: nanoseconds(e.ts) + nanoseconds(e.dur) }));
  const open = new Map<number, { start: number; end: number }[]>();
  for (const slice of slices) {
    const stack = open.get(slice.tid) ?? [];
    open.set(slice.tid, stack);
    expect(slice.start).toBeGreaterThanOrEqual(stack.at(-1)?.start ?? 0);
    while (stack.length > 0 && (stack.at(-1) as { end: number }).end <= slice.start) stack.pop();
    if (stack.length > 0) expect(slice.end).toBeLessThanOrEqual((stack.at(-1) as { end: number }).end);
    stack.push(slice);
  }
  const arrows = events.filter(({ ph }) => ph === "s" || ph === "f");
  for (const { id, tid, ts } of arrows) {
    expect(arrows.filter((other) => other.id === id).map(({ ph }) => ph)).toEqual(["s", "f"]);
    expect(slices.some((s) => s.tid === tid && s.start <= nanoseconds(ts) && nanoseconds(ts) <= s.end)).toBe(true);
  }
}

it("writes a trace whose slices nest in each thread, in microseconds", () => {
  fc.assert(
    fc.property(profiles, (profile) => {
      const read = JSON.parse(JSON.stringify(chromeTrace(profile))) as { traceEvents: TraceEvent[] };
      expect(read.traceEvents.filter(({ ph }) => ph === "X")).toHaveLength(profile.events.length);
      checkTrace(read.traceEvents);
    }),
    { numRuns: 50 },
  );
});

it("draws an arrow from an operator to its backward node, and keeps module, shapes and number of each", () => {
  const events = step.events.map((e) =>
    e.name === "aten::linear" ? { ...e, inputs: [{ dtype: "bfloat16" as const, shape: [4, 8] }] } : e,
  );
  const { traceEvents, otherData } = chromeTrace({ ...step, events, dropped: 3 }, { model: "nano" });
  const linear = traceEvents.find(({ name }) => name === "aten::linear");
  expect(linear).toMatchObject({
    ph: "X",
    cat: "operator",
    ts: 20,
    dur: 50,
    args: { module: "a.b", phase: "forward", sequence: 0, inputs: ["bfloat16[4, 8]"] },
  });
  expect(traceEvents.find(({ name }) => name === "a.b (Linear)")).toMatchObject({ cat: "module", ts: 10, dur: 70 });
  const arrows = traceEvents.filter(({ ph }) => ph === "s" || ph === "f").map(({ ph, ts }) => [ph, ts]);
  expect(arrows).toEqual([
    ["s", 112],
    ["f", 142],
    ["s", 20],
    ["f", 152],
  ]);
  expect(otherData).toEqual({ model: "nano", "events dropped": 3 });
});
