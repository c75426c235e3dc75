// Profiles training steps or predictions: time by operator, by module and by phase.

import type { Precision } from "@rfdetr/amp";
import {
  byModule,
  byOperator,
  getNumThreads,
  type ModuleTime,
  noGrad,
  type OperatorTime,
  type Profile,
  profile,
  scope,
  span,
} from "@rfdetr/torch";
import { postprocess, toArrays } from "../model/images/postprocess.js";
import { listDetections } from "../onnx/detections.js";
import { Predictor } from "../predict/predict.js";
import type { Shape } from "../support/shape.js";
import { measure, type Spread, spread } from "../support/statistics.js";
import type { Subject } from "../train/measure/calibrate-step.js";
import { trainingStep } from "../train/step/step.js";
import { prepareImages } from "../train/step/step-parts.js";
import { partsOf } from "./bench/bench-train.js";

/** A phase: an outermost span. */
export interface PhaseTime {
  name: string;
  /** Per step. */
  milliseconds: number;
  share: number;
}

/** A profile and what it is of. */
export interface StepProfile {
  what: "training" | "prediction";
  model: string;
  resolution: Shape;
  batch: number;
  precision: Precision;
  device: string;
  threads: number;
  steps: number;
  /** Per step: without the recorder (measured before and after), and with it. */
  milliseconds: { plain: Spread; recorded: number };
  phases: PhaseTime[];
  profile: Profile;
}

/** What is profiled. */
export interface ProfileOptions {
  precision: Precision;
  steps: number;
  warmup: number;
  /** Whether to record dtypes and shapes of the operators' tensors too. */
  shapes?: boolean;
  progress?: (what: string) => void;
}

/** Profiles training steps on the subject's batch. They train the model. */
export function profileTraining(subject: Subject, options: ProfileOptions): StepProfile {
  const { model, batch, device } = subject;
  const { parts, ema } = partsOf(model, { precision: options.precision, device });
  return profileSteps("training", subject, options, () => void trainingStep(parts, [batch], { ema }));
}

/** Profiles everything from the batch's bytes to detections, except resizing: the images have the model's size. */
export function profilePrediction(subject: Subject, options: ProfileOptions): StepProfile {
  const { model, batch, device, classNames } = subject;
  const predictor = new Predictor(model, { classNames, precision: options.precision, device });
  const { height, width, targets } = batch;
  return profileSteps("prediction", subject, options, () =>
    noGrad(() =>
      scope(() => {
        const images = span("images", () => prepareImages(batch, null, device));
        const outputs = span("forward", () => predictor.forward(images));
        span("postprocess", () => {
          const sizes = targets.map((): [number, number] => [height, width]);
          for (const found of postprocess(outputs, sizes, model.config.numSelect))
            listDetections(toArrays(found), classNames, 0.5);
        });
      }),
    ),
  );
}

function profileSteps(
  what: StepProfile["what"],
  { model, batch, device }: Subject,
  { precision, steps, warmup, shapes, progress = () => {} }: ProfileOptions,
  step: () => void,
): StepProfile {
  progress("warming up");
  for (let i = 0; i < warmup; i++) step();
  const plain = (): number[] => {
    progress("measuring without the recorder");
    return measure(step, steps, 0).map((seconds) => seconds * 1000);
  };
  const before = plain();
  progress("recording");
  const recorded = profile(
    () => {
      for (let i = 0; i < steps; i++) step();
    },
    { shapes },
  ).profile;
  const milliseconds = { plain: spread([...before, ...plain()]), recorded: recorded.nanoseconds / 1e6 / steps };
  return {
    what,
    model: model.config.variant,
    resolution: model.config.resolution,
    batch: batch.targets.length,
    precision,
    device,
    threads: getNumThreads(),
    steps,
    milliseconds,
    phases: phasesOf(recorded, steps),
    profile: recorded,
  };
}

function phasesOf({ events, nanoseconds }: Profile, steps: number): PhaseTime[] {
  const sums = new Map<string, number>();
  let rest = nanoseconds;
  for (const { kind, name, parent, start, end, thread } of events) {
    if (kind !== "span" || parent >= 0 || thread !== 0) continue;
    sums.set(name, (sums.get(name) ?? 0) + end - start);
    rest -= end - start;
  }
  return [...sums, ["between", rest] as const].map(([name, time]) => ({
    name,
    milliseconds: time / 1e6 / steps,
    share: time / nanoseconds,
  }));
}

interface OperatorRow {
  name: string;
  phase: "forward" | "backward";
  calls: number;
  self_ms: number;
  total_ms: number;
  share: number;
}

interface ModuleRow {
  name: string;
  path: string | null;
  calls: number;
  self_ms: { forward: number; backward: number };
  total_ms: { forward: number; backward: number };
  /** Time of the total outside operators: dispatch, JavaScript, the walk over the graph. */
  between_ms: number;
  share: number;
  children: ModuleRow[];
}

/** The figures of a profile, times and calls per step, as `rfdetr profile` prints them in JSON. */
export function profileFigures(taken: StepProfile) {
  const { profile: recorded, milliseconds, ...about } = taken;
  const operator = ({ name, phase, calls, self, total, share }: OperatorTime): OperatorRow => ({
    name,
    phase,
    calls: calls / taken.steps,
    self_ms: perStep(self),
    total_ms: perStep(total),
    share,
  });
  const module = ({ name, path, calls, self, total, between, share, children }: ModuleTime): ModuleRow => ({
    name,
    path,
    calls: calls / taken.steps,
    self_ms: both(self),
    total_ms: both(total),
    between_ms: perStep(between),
    share,
    children: children.map(module),
  });
  const perStep = (nanoseconds: number): number => nanoseconds / 1e6 / taken.steps;
  const both = ({ forward, backward }: ModuleTime["self"]) => ({
    forward: perStep(forward),
    backward: perStep(backward),
  });
  return {
    ...about,
    step_ms: milliseconds,
    events: recorded.events.length,
    dropped: recorded.dropped,
    operators: byOperator(recorded).map(operator),
    modules: byModule(recorded).map(module),
  };
}

export type ProfileFigures = ReturnType<typeof profileFigures>;
export type { ModuleRow, OperatorRow };
