// A process of a run that rank 0 leads: it loads its part of the data, and does what it is told.
import { hostname } from "node:os";
import { distributed, setNumThreads } from "@rfdetr/torch";
import { ValidationLoss } from "../../eval/validation-loss.js";
import { InternalError } from "../../support/errors.js";
import { resolveDevice } from "../../support/machine/device.js";
import { replayStep } from "../../train/measure/replay.js";
import type { MicroBatch } from "../../train/step/step-parts.js";
import { boxesOfEach, type WholeStep } from "../../train/step/whole-step.js";
import { nextImages } from "../custom-code.js";
import type { DoneEvent, TrainEvent } from "../events/events.js";
import { buildTraining, newModel, readyModel, useOverrides } from "../session/build-training.js";
import { withAverage } from "../session/session-state.js";
import type { Training } from "../session/training.js";
import { type DataSizes, dataContents, type OpenTrainData, type TrainData } from "../session/training-data.js";
import { type StepPlan, takeStep, wholeStepOf } from "../steps/take-step.js";
import type { TrainRequest } from "../thread/train-request.js";
import { longWait, Waits } from "../waits.js";
import type { Order, RankStatus } from "./orders.js";
import { RankPeers } from "./rank-peers.js";
import type { Ranks } from "./ranks.js";
import { evaluateTogether } from "./shared-evaluation.js";
import { broadcastState, sumOfBits, takeFigures } from "./state-transfer.js";

type OrderOf<Kind extends Order["do"]> = Extract<Order, { do: Kind }>;

/**
 * Trains as one of the ranks after the first, until rank 0 lets it go. It writes no files, and its events are warnings
 * of what it waits for, and the last one of rank 0.
 * @param waits watches what this rank waits for
 * @throws what failed here, or DistributedError where another process failed
 */
export function follow(
  ranks: Ranks,
  request: TrainRequest,
  openData: OpenTrainData,
  waits = new Waits(longWait, `Rank ${ranks.rank} on ${hostname()}`),
): AsyncGenerator<TrainEvent, void> {
  return waits.among(events(new Follower(ranks, request, openData, waits)));
}

async function* events(follower: Follower): AsyncGenerator<DoneEvent, void> {
  try {
    const done = await follower.run();
    if (done !== null) yield done;
  } catch (error) {
    throw follower.ranks.explain(error);
  } finally {
    await follower.close();
  }
}

/** A step that was taken, to take it again. */
interface TakenStep {
  plan: StepPlan;
  whole: WholeStep;
  microBatches: readonly MicroBatch[];
}

class Follower {
  #data: { data: TrainData; sizes: DataSizes; settings: Training["settings"] } | null = null;
  #training: Training | null = null;
  #peers: RankPeers | null = null;
  #steps: AsyncIterator<MicroBatch[]> | null = null;
  #next: MicroBatch[] | null = null;
  #taken: TakenStep | null = null;
  #warnings: string[] = [];
  #leftOut = 0;
  #loadSeconds = 0;

  constructor(
    readonly ranks: Ranks,
    readonly request: TrainRequest,
    readonly openData: OpenTrainData,
    readonly waits: Waits,
  ) {}

  /** @returns the last event of rank 0 */
  async run(): Promise<DoneEvent | null> {
    for (;;) {
      await this.#load();
      const statuses = this.ranks.gather(this.#status());
      const { order, stop } = statuses[0];
      // Why the run ends is the same for all; the first request stays.
      Atomics.compareExchange(this.request.stop, 0, 0, stop);
      if (order === null) throw new InternalError("Expected an order of rank 0");
      if (order.do === "end") return this.#end(order.done);
      await this.#obey(order, statuses);
    }
  }

  #end(done: DoneEvent | null): DoneEvent | null {
    try {
      this.#peers?.close();
      this.ranks.leave();
    } catch (error) {
      // The run is complete: a process that is gone by now changes nothing.
      if (!(error instanceof distributed.DistributedError)) throw error;
    }
    return done;
  }

  #status(): RankStatus {
    const leftOut = this.#data?.data.leftOut() ?? [];
    const status: RankStatus = {
      host: hostname(),
      order: null,
      boxes: this.#next === null ? null : boxesOfEach(this.#next),
      stop: Atomics.load(this.request.stop, 0),
      warnings: this.#warnings.splice(0),
      leftOut: leftOut.slice(this.#leftOut),
      contents: this.#data === null ? null : dataContents(this.#data.data),
    };
    this.#leftOut = leftOut.length;
    return status;
  }

  /** Loads the micro-batches of the next step while the others are still at the last. */
  async #load(): Promise<void> {
    if (this.#steps === null || this.#next !== null) return;
    const began = performance.now();
    const { done, value } = await this.waits.on(nextImages(this.#ready.settings), this.#steps.next());
    this.#loadSeconds = (performance.now() - began) / 1000;
    if (done) this.#steps = null;
    else this.#next = value;
  }

  /** The settings are those of rank 0, except for what belongs to this machine. */
  async #open({ settings: given, sizes }: OrderOf<"open">): Promise<void> {
    const { datasetDir, device, threads, numWorkers } = this.request.settings;
    const settings = { ...given, datasetDir, device, threads, numWorkers };
    if (threads !== null) setNumThreads(threads);
    this.#data = { data: await this.openData(settings, { ...sizes, shard: this.ranks }), sizes, settings };
  }

  async #obey(order: Order, statuses: readonly RankStatus[]): Promise<void> {
    if (order.do === "open") await this.#open(order);
    else if (order.do === "build") this.#build(order);
    else if (order.do === "state") this.#takeState(order);
    else if (order.do === "compare") this.ranks.gather(sumOfBits(this.#ready));
    else if (order.do === "epoch") await this.#begin(order);
    else if (order.do === "step") this.#step(order, statuses);
    else if (order.do === "replay") this.#replay(order);
    else if (order.do === "evaluate") await this.#evaluate(order);
    else if (order.do === "override") useOverrides(this.#ready, order.overrides);
  }

  get #ready(): Training {
    if (this.#training === null) throw new InternalError("Expected an order to build before any other");
    return this.#training;
  }

  #build({ modelConfig, precision, overrides, totalSteps }: OrderOf<"build">): void {
    if (this.#data === null) throw new InternalError("Expected an order to open data before that to build");
    const { data, sizes, settings } = this.#data;
    const device = resolveDevice(settings.device, this.request.place);
    const model = newModel(modelConfig, sizes.seed);
    readyModel(model, settings, device);
    const { stepsPerEpoch, classWeights = null } = data;
    const how = { device, precision, overrides, stepsPerEpoch, totalSteps, classWeights };
    this.#training = { settings, seed: sizes.seed, data, ...buildTraining(model, settings, how) };
  }

  #takeState({ figures }: OrderOf<"state">): void {
    const { group } = this.ranks;
    if (group !== null) this.#peers ??= new RankPeers(this.ranks, group, this.#ready);
    broadcastState(this.#ready, this.ranks);
    takeFigures(this.#ready, figures);
  }

  async #begin({ epoch, from }: OrderOf<"epoch">): Promise<void> {
    await this.#steps?.return?.();
    this.#next = null;
    this.#steps = this.#ready.data.steps(epoch, from)[Symbol.asyncIterator]();
  }

  #step({ plan }: OrderOf<"step">, statuses: readonly RankStatus[]): void {
    const boxes = statuses.flatMap((status) => status.boxes ?? []);
    const microBatches = this.#next;
    if (microBatches === null)
      throw new InternalError(`Expected micro-batches for step ${plan.step} but the data of this process have ended`);
    this.#next = null;
    const whole = wholeStepOf(this.#ready, plan, boxes, this.ranks);
    this.#taken = { plan, whole, microBatches };
    const peers = this.#peers;
    if (peers !== null) peers.next(this.#loadSeconds, this.#ready.parts.scaler);
    const { warning } = takeStep(this.#ready, microBatches, plan, whole, { peers }).result;
    if (warning !== null && !this.#ready.parts.scaler.enabled) this.#warnings.push(warning);
  }

  #replay({ scale }: OrderOf<"replay">): void {
    const { parts, precision } = this.#ready;
    if (this.#taken === null) throw new InternalError("Expected an order to take a step before that to repeat it");
    const { plan, whole, microBatches } = this.#taken;
    const files = microBatches.flatMap((batch) => batch.files ?? []);
    const { step, size } = plan;
    this.ranks.gather(replayStep(parts, microBatches, { step, precision, files, scale, size, whole }));
  }

  async #evaluate({ split, batch, shipped, loss }: OrderOf<"evaluate">): Promise<void> {
    const { settings, data, parts, evaluationAutocast: autocast } = this.#ready;
    const { request } = this;
    const run = () =>
      evaluateTogether(
        this.ranks,
        {
          model: parts.model,
          autocast,
          device: parts.device,
          classNames: data.classNames,
          batches: data.evaluation(split, batch),
          maxDets: settings.evalMaxDets,
          ...(loss ? { loss: new ValidationLoss(parts.criterion) } : {}),
        },
        { stop: () => Atomics.load(request.stop, 0), heard: () => {} },
      );
    await (shipped ? withAverage(this.#ready, run) : run());
  }

  async close(): Promise<void> {
    await this.#data?.data.close();
  }
}
