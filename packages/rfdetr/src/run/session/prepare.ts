// Builds a run from its settings, and from its checkpoint if it is resumed.

import { randomInt } from "node:crypto";
import { resolve } from "node:path";
import { setNumThreads } from "@rfdetr/torch";
import type { RFDETRModel } from "../../model/rfdetr.js";
import type { ModelConfig } from "../../model/types.js";
import { resolveModel } from "../../model/variants.js";
import { idleSettings } from "../../settings/contradictions.js";
import { requestedPrecision } from "../../settings/precision.js";
import { presetOf } from "../../settings/resolve.js";
import type { ReadySettings, TrainSettings } from "../../settings/settings.js";
import { ConfigError } from "../../support/errors.js";
import { agreeing, counted } from "../../support/format.js";
import { append } from "../../support/lists.js";
import { resolveDevice } from "../../support/machine/device.js";
import { type Shape, shapeOf, sidesOf } from "../../support/shape.js";
import { trainingScales } from "../../train/schedule/multi-scale.js";
import type { ClassRow } from "../../weights/classes/class-rows.js";
import { loadInto } from "../../weights/weights.js";
import { type OpenedCallbacks, openCallbacks } from "../callbacks/open-callbacks.js";
import type { SavedProgress } from "../files/checkpoint/checkpoint.js";
import { RunDirectory } from "../files/run-directory.js";
import { checkThreads } from "../launch/shares.js";
import type { Leader } from "../ranks/leader.js";
import { fetchWeights } from "../sources/fetch-weights.js";
import { initialProgress, noRollbacks } from "../steps/progress.js";
import { TimeBudget } from "../steps/time-budget.js";
import type { TrainRequest } from "../thread/train-request.js";
import { Waits } from "../waits.js";
import { autoBatch } from "./auto-batch.js";
import { buildTraining, newModel, readyModel } from "./build-training.js";
import { type ChosenPrecision, choosePrecision, precisionForMemory } from "./choose-precision.js";
import { checkMemory } from "./memory-check.js";
import { checkPrecisionChanges, nextOverrides } from "./overrides.js";
import { changedCallbacks, compareData, openResumed, type ResumedRun, recordChanges, whereDataWere } from "./resume.js";
import { type RunConfig, runConfig } from "./run-config.js";
import type { Session } from "./session.js";
import { restore, saveSession } from "./session-state.js";
import { type DataSizes, dataContents, type OpenTrainData, type TrainData } from "./training-data.js";

/**
 * @param directory the folder of the run that is resumed; null begins a new one
 * @throws RfdetrError, or an error of data or model, before anything is written where the request cannot be trained.
 */
export async function prepareRun(
  request: TrainRequest,
  directory: RunDirectory | null,
  openData: OpenTrainData,
  leader: Leader,
): Promise<Session> {
  const { settings: began, changes, place = null } = request;
  const resumed = directory === null ? null : openResumed(directory, began, changes);
  const before = resumed?.config ?? null;
  const given = withProcesses({ ...began, ...changes }, leader.ranks.size, before);
  const crowded = given.threads === null || resumed !== null ? null : checkThreads(given.threads);
  // Absolute, so that a run that is killed before its first checkpoint can begin anew from any folder.
  const wanted = { ...(resumed !== null ? given : await fetchWeights(given)) };
  if (wanted.callbacks !== null) wanted.callbacks = resolve(wanted.callbacks);
  const waits = new Waits();
  const callbacks = wanted.callbacks === null ? null : await openCallbacks(wanted.callbacks, waits);
  if (wanted.threads !== null) setNumThreads(wanted.threads);
  const seed = before?.seed ?? wanted.seed ?? randomInt(2 ** 31);
  const device = resolveDevice(wanted.device, place);
  const shape = modelShape(wanted);
  const scales = scalesOf(wanted, shape);
  const sizes = {
    seed,
    size: scales?.at(-1) ?? shape.resolution,
    evaluationSize: shape.resolution,
    masks: shape.segmentationHead,
    detections: shape.numSelect,
  };
  const sharedBy = place?.localSize ?? 1;
  checkMemory(wanted, {
    size: sizes.size,
    precision: precisionForMemory(wanted, device),
    device,
    sharedBy,
    config: shape,
    modelAt: (side) => modelShape({ ...wanted, resolution: side }),
  });
  const { settings, reason: batchReason } = await withBatch(wanted, openData, { sizes, shape, device, sharedBy });
  leader.order({ do: "open", settings, sizes });
  const data = await openData(settings, { ...sizes, shard: leader.ranks }).catch((error: unknown) => {
    throw resumed === null ? error : whereDataWere(error, settings.datasetDir);
  });
  try {
    const idle = resumed === null ? idleSettings(wanted, presetOf(wanted.model)) : [];
    if (crowded !== null) idle.push(crowded);
    const opened = {
      settings,
      batchReason,
      resumed,
      seed,
      device,
      scales,
      shape,
      data,
      leader,
      callbacks,
      waits,
      idle,
    };
    return await buildSession(opened);
  } catch (error) {
    // The loader's threads would keep the process alive.
    await data.close();
    throw error;
  }
}

/** What a session is built from: settings that are decided, and data that are open. */
interface OpenedRun {
  settings: ReadySettings;
  /** How the batch size was chosen; null where the settings say it. */
  batchReason: string | null;
  resumed: ResumedRun | null;
  seed: number;
  device: string;
  /** Sizes of the images that steps take turns with; null where all have one. */
  scales: Shape[] | null;
  /** The model, but for its number of classes. */
  shape: ModelConfig;
  data: TrainData;
  leader: Leader;
  callbacks: OpenedCallbacks | null;
  waits: Waits;
  /** Settings of a new run that have no effect, in sentences. */
  idle: string[];
}

/** Builds the model and its optimizer, in all processes; takes up the checkpoint of a run that is resumed. */
async function buildSession(opened: OpenedRun): Promise<Session> {
  const { settings, batchReason, resumed, seed, device, shape, data, leader } = opened;
  leader.compareData(dataContents(data));
  const differences = resumed === null ? [] : compareData(resumed, data, settings.datasetDir);
  const modelConfig = { ...shape, numClasses: data.classNames.length };
  const model = newModel(modelConfig, seed);
  const notes = [...(data.notes ?? []), ...(batchReason === null ? [] : [batchReason])];
  const isNew = resumed === null || resumed.progress === null;
  const start = settings.weights !== null && isNew ? loadStart(model, settings, data) : null;
  append(notes, start?.notes ?? []);
  const frozen = readyModel(model, settings, device);
  if (frozen !== null) notes.push(frozen);
  const chosen = await choosePrecision(settings, device, { model, data, before: resumed?.config ?? null });
  const session = assemble({ ...opened, chosen, modelConfig, model, classRows: start?.classRows ?? null, notes });
  session.warnings.unshift(...(start?.warnings ?? []));
  if (resumed === null) begin(session);
  else proceed(session, resumed, differences);
  const overrides = nextOverrides(session);
  leader.order({ do: "build", modelConfig, precision: session.precision, overrides, totalSteps: session.totalSteps });
  leader.sendState(session);
  leader.compareWeights(session);
  return session;
}

/** Says that a run cannot be shared out among so many processes. @internal for tests */
export function processesMismatch(whole: number, size: number, isResumed: boolean): string {
  const wanted = `${counted(whole, "process", "processes")}${isResumed ? ", as the run began with" : ""}`;
  const parts = whole > 1 ? ", or a number that divides it" : "";
  const why = isResumed ? ": a run can go on in fewer processes, and not in more" : "";
  return `Expected ${wanted}${parts}, but ${size} ${agreeing(size, "was", "were")} started${whole < size ? why : ""}`;
}

/**
 * The settings for so many processes: a new run is cut for them, one that is continued must be divided by them.
 * @throws ConfigError where it is not
 */
function withProcesses(settings: TrainSettings, size: number, before: RunConfig | null): TrainSettings {
  if (before === null && settings.processes === 1 && size > 1)
    return { ...settings, processes: size, boxNormaliser: "step" };
  if (settings.processes % size === 0) return settings;
  throw new ConfigError(processesMismatch(settings.processes, size, before !== null));
}

/** Loads the weights that training starts from. @throws CheckpointError */
function loadStart(
  model: RFDETRModel,
  { weights, classNumbering }: ReadySettings,
  { classNames }: TrainData,
): { classRows: ClassRow[]; notes: string[]; warnings: string[] } {
  const warnings: string[] = [];
  const warn = (message: string) => warnings.push(message);
  const { classRows, lines } = loadInto(model, weights as string, { classNames, classNumbering, warn });
  return { classRows, notes: lines, warnings };
}

/**
 * The settings with a number for the batch size; `auto` becomes the largest that fits. A resumed run already has its
 * number.
 */
async function withBatch(
  settings: TrainSettings,
  openData: OpenTrainData,
  { sizes, shape, device, sharedBy }: { sizes: DataSizes; shape: ModelConfig; device: string; sharedBy: number },
): Promise<{ settings: ReadySettings; reason: string | null }> {
  const { batchSize } = settings;
  if (batchSize !== "auto") return { settings: { ...settings, batchSize }, reason: null };
  const data = await openData({ ...settings, batchSize: 1, gradAccumSteps: 1, processes: 1 }, sizes);
  const numClasses = data.classNames.length;
  await data.close();
  const precision = precisionForMemory(settings, device);
  const config = { ...shape, numClasses };
  const { reason, ...chosen } = autoBatch(settings, { config, size: sizes.size, precision, device, sharedBy });
  return { settings: { ...settings, ...chosen }, reason };
}

interface SessionParts extends OpenedRun {
  chosen: ChosenPrecision;
  modelConfig: ModelConfig;
  model: RFDETRModel;
  classRows: ClassRow[] | null;
  notes: string[];
}

function assemble(parts: SessionParts): Session {
  const { settings, resumed, seed, device, chosen, scales, modelConfig, model, notes, data, leader } = parts;
  const { note, ...precision } = chosen;
  const progress = resumed?.progress ?? initialProgress();
  checkPrecisionChanges(model, settings);
  const overrides = nextOverrides({ settings, progress });
  const { stepsPerEpoch } = data;
  const allSteps = stepsBefore(progress) + stepsPerEpoch * (settings.epochs - progress.epoch);
  const mostSteps = settings.maxSteps === null ? allSteps : Math.min(allSteps, settings.maxSteps);
  const totalSteps = Math.min(mostSteps, progress.plannedSteps ?? mostSteps);
  const classWeights = data.classWeights ?? null;
  const how = { device, precision: chosen.precision, overrides, stepsPerEpoch, totalSteps, classWeights };
  return {
    ...buildTraining(model, settings, how),
    settings,
    seed,
    leader,
    directory: resumed?.directory ?? RunDirectory.create(settings.outputDir, settings.model),
    data,
    modelConfig,
    parameters: model.parameters().reduce((sum, parameter) => sum + parameter.numel, 0),
    scales,
    stepsPerEpoch,
    mostSteps,
    totalSteps,
    ...precision,
    precisionNote: note,
    progress,
    waits: parts.waits,
    callbacks: parts.callbacks?.runner ?? null,
    callbacksHash: parts.callbacks?.sha256 ?? null,
    resumed: resumed !== null,
    started: resumed === null ? new Date().toISOString() : resumed.config.started,
    notes,
    warnings: [...data.warnings, ...parts.idle, ...obsolete(settings)],
    classRows: parts.classRows,
  };
}

/** Steps of the epochs that have ended. The data may have had another number of images then. */
function stepsBefore({ step, stepInEpoch, rollbacks = noRollbacks }: SavedProgress): number {
  return step - stepInEpoch - rollbacks.undone;
}

/** Writes the configuration of a new run. */
function begin({ directory, ...session }: Session): void {
  try {
    directory.writeJson("config.json", runConfig({ directory, ...session }));
  } catch (error) {
    directory.giveUp();
    throw error;
  }
}

/** Takes up the checkpoint of a run, and writes down what has changed. */
function proceed(session: Session, resumed: ResumedRun, differences: readonly string[]): void {
  const { progress, schedule, notes, warnings, callbacks } = session;
  if (resumed.progress === null) notes.push("The run has no checkpoint yet: it starts from the beginning");
  else restore(session);
  append(warnings, [...resumed.warnings, ...changedCallbacks(session, resumed.config)]);
  callbacks?.load(progress.callbacks);
  const otherBudget = (resumed.config.settings.time_budget ?? null) !== session.settings.timeBudget;
  if (resumed.extended || otherBudget) new TimeBudget(session).goOn();
  if (resumed.extended) {
    progress.finished = false;
    progress.earlyStopping.waited = 0;
    callbacks?.goOn();
    if (progress.callbacks !== undefined) progress.callbacks.stopped = null;
    saveSession(session);
  }
  const changed = recordChanges(session, resumed.config, differences);
  if (changed !== null) notes.push(`${changed}. The learning rate is ${schedule.baseRate(progress.applied)} now`);
}

/** What is measured before a run with these settings starts, in words to print. */
export function measurementsBefore(settings: TrainSettings): string[] {
  return [
    ...(settings.batchSize === "auto" ? ["measuring the batch size that fits"] : []),
    ...(requestedPrecision(settings) === "measured" ? ["measuring every precision on the first batch"] : []),
  ];
}

function modelShape(settings: TrainSettings): ModelConfig {
  const { model, resolution, numQueries, groupDetr, numSelect, maskDownsampleRatio } = settings;
  const or = <T>(value: T | null): T | undefined => value ?? undefined;
  return resolveModel(model, {
    resolution: resolution === null ? undefined : shapeOf(...sidesOf(resolution)),
    numQueries: or(numQueries),
    groupDetr: or(groupDetr),
    numSelect: or(numSelect),
    maskDownsampleRatio: or(maskDownsampleRatio),
  });
}

/** Sizes of the images that steps take turns with; null where all have one. */
function scalesOf({ multiScale, expandedScales }: TrainSettings, shape: ModelConfig): Shape[] | null {
  return multiScale === false || multiScale === "off" ? null : trainingScales(shape, { expanded: expandedScales });
}

/** Warnings about settings that are obsolete. */
function obsolete({ fp16Eval }: TrainSettings): string[] {
  return fp16Eval
    ? [
        "fp16_eval is obsolete: evaluation runs under float16 autocast with norm layers in float32, and the model itself is never converted. Leave it out to evaluate in the training precision",
      ]
    : [];
}
