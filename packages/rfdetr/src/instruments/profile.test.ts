import { chromeTrace, memory } from "@rfdetr/torch";
import { beforeAll, describe, expect, it } from "vitest";
import type { Subject } from "../train/measure/calibrate-step.js";
import { calibrateSubject, memoryPrices } from "../train/measure/calibrate-step.js";
import { openSubject } from "./precision/calibration.js";
import {
  type ModuleRow,
  type ProfileFigures,
  profileFigures,
  profilePrediction,
  profileTraining,
  type StepProfile,
} from "./profile.js";

const steps = 2;
const find = (nodes: readonly ModuleRow[], path: string): ModuleRow | undefined =>
  nodes.flatMap((node) => (node.path === path ? node : (find(node.children, path) ?? []))).at(0);

describe("a profile of training steps", () => {
  let subject: Subject;
  let taken: StepProfile;
  let figures: ProfileFigures;
  beforeAll(async () => {
    subject = await openSubject({ model: "tiny", batch: 1, device: "cpu" });
    taken = profileTraining(subject, { precision: "bf16-mixed", steps, warmup: 1 });
    figures = profileFigures(taken);
  });

  it("has the phases of a step in their order, which make up all of it", () => {
    expect(figures.phases.map(({ name }) => name)).toEqual([
      "images",
      "forward",
      "loss",
      "backward",
      "optimizer",
      "between",
    ]);
    expect(figures.phases.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);
    for (const { milliseconds } of figures.phases) expect(milliseconds).toBeGreaterThanOrEqual(0);
  });

  it("has the calls of one step: each module's forward once, the optimizer's kernel once", () => {
    expect(find(figures.modules, "")).toMatchObject({ name: "RFDETRModel", calls: 1 });
    expect(find(figures.modules, "transformer.decoder")).toMatchObject({ calls: 1 });
    expect(figures.operators.find(({ name }) => name === "rfdetr::adamw_")).toMatchObject({
      calls: 1,
      phase: "forward",
    });
  });

  it("knows our own operators by name, forward and backward", () => {
    const names = figures.operators.map(({ name, phase }) => `${phase} ${name}`);
    for (const name of [
      "forward rfdetr::deformable_attention",
      "backward DeformableAttentionBackward",
      "backward LinearBackward",
    ])
      expect(names).toContain(name);
  });

  it("finds the module of nearly all of backward: what is left is the walk over the graph and the loss", () => {
    const { events } = taken.profile;
    const nodes = events.filter(({ kind }) => kind === "backward");
    expect(nodes.filter(({ module, span }) => module === null && span === null)).toEqual([]);
    const strays = nodes.filter(({ module, span }) => module === null && span === "backward");
    expect(strays.map(({ name }) => name)).toEqual([]);
  });

  it("gives every trained module that ran some backward", () => {
    const decoder = find(figures.modules, "transformer.decoder.layers.0") as ModuleRow;
    for (const node of [decoder, find(figures.modules, "backbone") as ModuleRow]) {
      expect(node.total_ms.forward).toBeGreaterThan(0);
      expect(node.total_ms.backward).toBeGreaterThan(0);
    }
  });

  it("accounts for no more time than there was", () => {
    const recorded = taken.profile.nanoseconds / 1e6 / steps;
    const operators = figures.operators.reduce((sum, { self_ms }) => sum + self_ms, 0);
    const modules = figures.modules.reduce((sum, { total_ms }) => sum + total_ms.forward + total_ms.backward, 0);
    expect(operators).toBeLessThanOrEqual(modules);
    expect(modules).toBeLessThanOrEqual(recorded);
  });

  it("draws an arrow into every node that an operator made", () => {
    const { traceEvents } = chromeTrace(taken.profile);
    const finishes = traceEvents.filter(({ ph }) => ph === "f");
    expect(finishes).toHaveLength(
      taken.profile.events.filter(({ kind, name }) => kind === "backward" && name !== "AccumulateGrad").length,
    );
  });
});

it("leaves the model as it was, where the prices of sparing memory are measured", async () => {
  const subject = await openSubject({ model: "tiny", batch: 1, device: "cpu" });
  const { model } = subject;
  for (const [memory, checkpointing] of [
    ["lean", true],
    ["default", false],
  ] as const) {
    Object.assign(model, { memory, checkpointing });
    memoryPrices(subject, { precision: "32-true", rounds: 1 });
    expect([model.memory, model.checkpointing]).toEqual([memory, checkpointing]);
  }
});

it("counts the memory of each way to the byte, however long its steps take, and leaves no tensor", async () => {
  const subject = await openSubject({ model: "tiny", batch: 1, device: "cpu" });
  const before = memory().liveBytes;
  calibrateSubject(subject, { precisions: ["32-true"], rounds: 1 });
  expect(memory().liveBytes).toBe(before);
  const measured = () => memoryPrices(subject, { precision: "bf16-mixed", rounds: 2 });
  const [first, again] = [measured(), measured()];
  const bytes = (prices: typeof first) => prices.map((price) => price.peak_tensor_bytes);
  expect(bytes(again)).toEqual(bytes(first));
  expect(memory().liveBytes).toBe(before);
  for (const { step_seconds: median, step_seconds_range: range } of first) {
    expect(range[0]).toBeLessThanOrEqual(median);
    expect(range[1]).toBeGreaterThanOrEqual(median);
  }
});

it("profiles prediction, which has no backward", async () => {
  const subject = await openSubject({ model: "tiny", batch: 2, device: "cpu" });
  const figures = profileFigures(
    profilePrediction(subject, { precision: "32-true", steps: 1, warmup: 1, shapes: true }),
  );
  expect(figures).toMatchObject({
    what: "prediction",
    model: "tiny",
    batch: 2,
    precision: "32-true",
    steps: 1,
    dropped: 0,
  });
  expect(figures.phases.map(({ name }) => name)).toEqual(["images", "forward", "postprocess", "between"]);
  expect(figures.operators.filter(({ phase }) => phase === "backward")).toEqual([]);
});
