// All that a run is made of, built from its settings, and from its checkpoint where it is continued.
import { randomInt } from "node:crypto";
import {
  type Autocast,
  GradScaler,
  type HeaderRecord,
  numericsVersion,
  type Precision,
  policyByName,
  recordLine,
  resolvePrecision,
  withOperators,
} from "@rfdetr/amp";
import { engine, getRngState, manualSeed, noGrad, optim, scope, setNumThreads, setRngState, type Tensor } from "@rfdetr/torch";
import { Criterion } from "../loss/criterion.js";
import { fp16EvalAutocast, modelAutocast } from "../model/autocast.js";
import { RFDETRModel } from "../model/rfdetr.js";
import type { ModelConfig } from "../model/types.js";
import { resolveConfig as resolveModel } from "../model/variants.js";
import { resolveDevice } from "../run/device.js";
import { machineLine } from "../run/machine.js";
import { RunDirectory } from "../run/run-directory.js";
import { packageVersion } from "../run/version.js";
import { loadInto, readWeights, saveWeights } from "../run/weights.js";
import { loadCheckpoint, type Progress, readProgress, saveCheckpoint } from "./checkpoint.js";
import { toFile } from "./config.js";
import { Ema } from "./ema.js";
import { trainingScales } from "./multi-scale.js";
import { parameterGroups } from "./parameter-groups.js";
import { initialProgress, noRollbacks } from "./progress.js";
import type { RunConfig } from "./resume.js";
import type { TrainRequest } from "./run.js";
import { Schedule } from "./schedule.js";
import type { TrainSettings } from "./settings.js";
import type { StepParts } from "./step.js";
import type { OpenTrainData, TrainData } from "./training-data.js";

/** A run that is ready to take its next step. */
export interface Session {
  settings: TrainSettings;
  seed: number;
  directory: RunDirectory;
  data: TrainData;
  modelConfig: ModelConfig;
  /** Number of trained parameters. */
  parameters: number;
  parts: StepParts;
  /** What evaluation runs under: that of training, unless a leftover asks otherwise. */
  evaluationAutocast: Autocast;
  ema: Ema | null;
  schedule: Schedule;
  /** Side lengths of multi-scale training; null trains at the resolution. */
  scales: number[] | null;
  stepsPerEpoch: number;
  totalSteps: number;
  precision: Precision;
  reason: string;
  progress: Progress;
  warnings: string[];
}

/** @throws RfdetrError, or an error of data or model, before anything is written where the request cannot be trained. */
export async function prepareRun({ settings, resume }: TrainRequest, openData: OpenTrainData): Promise<Session> {
  if (settings.threads !== null) setNumThreads(settings.threads);
  const directory = resume === null ? null : RunDirectory.open(resume);
  const before = directory === null ? null : (directory.readJson("config.json") as RunConfig);
  const seed = before?.seed ?? settings.seed ?? randomInt(2 ** 31);
  const device = resolveDevice(settings.device);
  const { precision, reason } = resolvePrecision(wantedPrecision(settings), device);
  const scales = (side: number, patch: number, windows: number) =>
    settings.multiScale === false || settings.multiScale === "off" ? null : trainingScales(side, patch, windows, settings.expandedScales);
  const shape = modelShape(settings);
  const sides = scales(shape.resolution, shape.patchSize, shape.numWindows);
  const data = await openData(settings, {
    seed,
    side: sides === null ? shape.resolution : Math.max(...sides),
    evaluationSide: shape.resolution,
  });
  try {
    return assemble({ settings, resume, directory, seed, device, precision, reason, sides, shape, data });
  } catch (error) {
    // Its threads would keep the process alive.
    await data.close();
    throw error;
  }
}

interface Ingredients {
  settings: TrainSettings;
  resume: string | null;
  directory: RunDirectory | null;
  seed: number;
  device: string;
  precision: Precision;
  reason: string;
  sides: number[] | null;
  shape: ModelConfig;
  data: TrainData;
}

function assemble({ settings, resume, directory, seed, device, precision, reason, sides, shape, data }: Ingredients): Session {
  const modelConfig = { ...shape, numClasses: data.classNames.length };

  manualSeed(seed);
  const model = new RFDETRModel(modelConfig);
  const warnings = [...data.warnings, ...leftovers(settings)];
  if (settings.weights !== null && resume === null) warnings.push(...loadInto(model, settings.weights));
  if (settings.freezeEncoder)
    for (const [name, parameter] of model.namedParameters()) if (name.startsWith("backbone.0.encoder")) parameter.requiresGrad = false;
  if (device !== "cpu") model.to(device);
  model.train();

  const policy = withOperators(policyByName(settings.precisionPolicy), settings.precisionOperators);
  const autocast = modelAutocast(precision, model, { policy, overrides: settings.precisionOverrides });
  const optimizer = new optim.AdamW(parameterGroups(model, settings));
  const ema = settings.useEma ? new Ema(model, { decay: settings.emaDecay, tau: settings.emaTau }) : null;
  const stepsPerEpoch = data.stepsPerEpoch;
  const allSteps = stepsPerEpoch * settings.epochs;
  const totalSteps = settings.maxSteps === null ? allSteps : Math.min(allSteps, settings.maxSteps);
  const session: Session = {
    settings,
    seed,
    directory: directory ?? RunDirectory.create(settings.outputDir, settings.model),
    data,
    modelConfig,
    parameters: model.parameters().reduce((sum, parameter) => sum + parameter.numel, 0),
    parts: {
      model,
      criterion: new Criterion({
        groupDetr: modelConfig.groupDetr,
        weights: { ce: settings.clsLossCoef, bbox: settings.bboxLossCoef, giou: settings.giouLossCoef },
      }),
      autocast,
      optimizer,
      scaler: new GradScaler({ ...settings.scaler, enabled: precision === "16-mixed" }),
      device,
      clipMaxNorm: settings.clipMaxNorm,
    },
    evaluationAutocast: settings.fp16Eval ? fp16EvalAutocast(model, settings.precisionOverrides) : autocast,
    ema,
    schedule: new Schedule(settings, stepsPerEpoch, totalSteps),
    scales: sides,
    stepsPerEpoch,
    totalSteps,
    precision,
    reason,
    progress: directory === null ? initialProgress() : readProgress(directory.checkpoint),
    warnings,
  };
  if (directory === null) {
    session.directory.writeJson("config.json", runConfig(session));
    session.directory.append("numerics.jsonl", `${recordLine(numericsHeader(session))}\n`);
  } else restore(session);
  return session;
}

/** The precision asked for: `precision`, else what `amp_dtype` and `amp` mean. */
function wantedPrecision({ precision, amp, ampDtype }: TrainSettings): Precision | "auto" {
  if (precision !== "auto") return precision;
  if (ampDtype === "bf16") return "bf16-mixed";
  if (ampDtype === "fp16") return "16-mixed";
  return ampDtype === null || !amp ? "32-true" : "auto";
}

function modelShape({ model, resolution, numQueries, groupDetr, numSelect }: TrainSettings): ModelConfig {
  const or = <T>(value: T | null): T | undefined => value ?? undefined;
  return resolveModel(model, {
    resolution: or(resolution),
    numQueries: or(numQueries),
    groupDetr: or(groupDetr),
    numSelect: or(numSelect),
  });
}

function leftovers({ fp16Eval }: TrainSettings): string[] {
  return fp16Eval
    ? [
        "fp16_eval is a leftover of old configs: evaluation runs in fp16 autocast with norms in float32, and the model itself is never converted; leave it out to evaluate in the training precision",
      ]
    : [];
}

/** Bytes of what is float32 in every precision. */
function fixedBytes({ model, optimizer }: StepParts, ema: Ema | null): HeaderRecord["fixed_bytes"] {
  const bytes = (tensors: Iterable<Tensor>): number => [...tensors].reduce((sum, tensor) => sum + tensor.nbytes, 0);
  const weights = bytes(model.stateDict().values());
  const gradients = bytes(optimizer.parameters);
  return { weights, gradients, moments: 2 * gradients, average: ema === null ? 0 : weights };
}

function numericsHeader({ precision, reason, parts, settings, ema }: Session): HeaderRecord {
  const { policy, overrides } = parts.autocast;
  const note = settings.notes === null ? null : JSON.stringify(settings.notes);
  return {
    v: numericsVersion,
    kind: "header",
    precision,
    reason,
    note,
    policy: policy.name,
    overrides: { ...overrides },
    hardware: machineLine(),
    monitor_interval: settings.monitorInterval,
    fixed_bytes: fixedBytes(parts, ema),
  };
}

function runConfig(session: Session): RunConfig {
  return {
    settings: toFile(session.settings),
    seed: session.seed,
    class_names: [...session.data.classNames],
    model_config: { ...session.modelConfig },
    precision: session.precision,
    reason: session.reason,
    hardware: machineLine(),
    versions: { rfdetr: packageVersion(), node: process.version, libtorch: engine().version },
  };
}

/** Continues from the run's checkpoint: takes its tensors, and drops the records written after it. */
function restore(session: Session): void {
  const { directory, parts, progress } = session;
  takeCheckpoint(session);
  if (progress.scaler !== null) parts.scaler.loadStateDict(progress.scaler);
  directory.keepLines("numerics.jsonl", (line) => ((JSON.parse(line) as { step?: number }).step ?? 0) <= progress.step);
  // The first line is the header.
  directory.keepLines("metrics.csv", (line, index) => index === 0 || Number.parseInt(line, 10) <= progress.epoch);
}

/** Takes weights, moments, average and random numbers from the run's checkpoint. @returns where the run was then */
function takeCheckpoint({ directory, parts, ema }: Session): Progress {
  const saved = loadCheckpoint(directory.checkpoint);
  parts.model.loadStateDict(saved.model);
  parts.optimizer.loadStateDict(saved.optimizer);
  if (ema !== null && saved.ema !== null) ema.load(saved.ema);
  setRngState(saved.rng);
  for (const tensor of [
    ...saved.model.values(),
    ...saved.optimizer.expAvg,
    ...saved.optimizer.expAvgSq,
    ...(saved.ema?.tensors.values() ?? []),
    saved.rng,
  ])
    tensor.dispose();
  return saved.progress;
}

/**
 * Goes back to the last checkpoint with half the learning rate: weights, moments, average, schedule and place in the data are those of
 * then. Steps tried keep counting, so that every record has a number of its own.
 * @returns the step whose state the run is in again
 */
export function rollBack(session: Session): number {
  const { progress, parts } = session;
  const saved = takeCheckpoint(session);
  const { inEpoch, undone, lrFactor } = progress.rollbacks ?? noRollbacks;
  const { step, skipped, trainSeconds } = progress;
  Object.assign(progress, saved, {
    step,
    skipped,
    trainSeconds,
    rollbacks: { inEpoch: inEpoch + 1, undone: undone + step - saved.step, lrFactor: lrFactor / 2 },
  });
  if (progress.scaler !== null) parts.scaler.loadStateDict(progress.scaler);
  return saved.step;
}

/** Writes everything a resume needs. @throws RfdetrError `ERR_RUN_DIRECTORY` */
export function saveSession({ directory, parts, ema, progress }: Session): void {
  scope(() =>
    saveCheckpoint(directory.checkpoint, progress, {
      model: parts.model.stateDict(),
      ema: ema === null ? null : ema.state(),
      optimizer: parts.optimizer.stateDict(),
      rng: getRngState(),
    }),
  );
}

/** Puts the best weights into the model, for good: training is over. */
export function useBest({ directory, parts }: Session): void {
  const { tensors } = readWeights(directory.best);
  parts.model.loadStateDict(tensors);
  for (const tensor of tensors.values()) tensor.dispose();
}

/** Writes weights for use: the averaged ones where there is an average, unless `base` asks for those in training. */
export function saveUsable(session: Session, path: string, info: Record<string, string>, base = false): void {
  const { parts, ema, data, modelConfig, settings } = session;
  const tensors = ema === null || base ? parts.model.stateDict() : ema.state().tensors;
  const notes: Record<string, string> = settings.notes === null ? {} : { notes: JSON.stringify(settings.notes) };
  saveWeights(path, tensors, {
    classNames: [...data.classNames],
    config: modelConfig,
    extra: { ...info, ...notes, averaged: String(ema !== null && !base), precision: session.precision, rfdetr_version: packageVersion() },
  });
}

/** Runs `body` with the averaged weights in the model, then puts those in training back, to the bit. */
export async function withAverage<T>({ parts, ema }: Session, body: () => Promise<T>): Promise<T> {
  if (ema === null) return await body();
  const { model } = parts;
  const own = new Map([...model.stateDict()].map(([key, tensor]) => [key, noGrad(() => tensor.clone())]));
  model.loadStateDict(ema.state().tensors);
  try {
    return await body();
  } finally {
    model.loadStateDict(own);
    for (const tensor of own.values()) tensor.dispose();
  }
}
