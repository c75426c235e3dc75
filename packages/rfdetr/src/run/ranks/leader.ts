// Rank 0's side of a run of several processes: it orders what all do next, and receives their results.
import { hostname } from "node:os";
import { distributed } from "@rfdetr/torch";
import type { CocoEvaluator } from "../../eval/coco/coco.js";
import { type EvaluationOptions, evaluate } from "../../eval/evaluate.js";
import { DataError, InternalError } from "../../support/errors.js";
import type { OverflowReport } from "../../train/measure/overflow-report.js";
import type { DoneEvent } from "../events/events.js";
import type { Training } from "../session/training.js";
import type { TrainData } from "../session/training-data.js";
import type { StepPlan } from "../steps/take-step.js";
import type { Order, RankStatus } from "./orders.js";
import { RankPeers } from "./rank-peers.js";
import type { Ranks } from "./ranks.js";
import { evaluateTogether } from "./shared-evaluation.js";
import { broadcastState, stateFigures, sumOfBits } from "./state-transfer.js";

/**
 * Leads the other processes of a run. They hold the same weights, moments and average, load their own part of the data,
 * and do only what rank 0 orders. In a run of one process every call does rank 0's own part alone.
 */
export class Leader {
  /** What the user should know of the other processes. The trainer empties the list as it tells. */
  readonly warnings: string[] = [];
  /** Sentences for images that the others left out. */
  readonly leftOut = new Set<string>();
  /** Null in a run of one process. */
  peers: RankPeers | null = null;
  #heardAt = performance.now();
  #drifted = false;

  /** @param stop flag of this process; it takes over that of another which is asked to stop */
  constructor(
    readonly ranks: Ranks,
    readonly stop: Int32Array,
  ) {}

  get #alone(): boolean {
    return this.ranks.size === 1;
  }

  /**
   * Has all processes do something.
   * @param boxes of rank 0's micro-batches, before a step
   * @returns what each said before, in the order of the ranks; empty in a run of one process
   * @throws DistributedError where one of them has failed
   */
  order(order: Order, boxes: readonly number[] | null = null): RankStatus[] {
    if (this.#alone) return [];
    const own = { host: hostname(), order, boxes, stop: Atomics.load(this.stop, 0), contents: null };
    const statuses = this.ranks.gather<RankStatus>({ ...own, warnings: [], leftOut: [] });
    this.#heardAt = performance.now();
    this.#hear(statuses.map(({ stop }) => stop));
    for (const [rank, { host, warnings, leftOut }] of statuses.entries()) {
      for (const message of warnings) this.warnings.push(`Rank ${rank} on ${host}: ${message}`);
      for (const message of leftOut) this.leftOut.add(message);
    }
    return statuses;
  }

  /** Takes over that another process was asked to stop. */
  #hear(stops: readonly number[]): void {
    const asked = stops.find((value) => value !== 0);
    if (asked !== undefined) Atomics.compareExchange(this.stop, 0, 0, asked);
  }

  /** Tells the others that the run is paused, before they take its silence for a lost process. */
  wait(): void {
    if (performance.now() - this.#heardAt > 1000) this.order({ do: "wait" });
  }

  /** Compares the data of all processes. @throws DataError naming the first that has others than rank 0 */
  compareData(contents: string): void {
    const differs = this.order({ do: "wait" }).findIndex((status, rank) => rank > 0 && status.contents !== contents);
    if (differs > 0)
      throw new DataError(
        `Expected the same images and annotations in all processes but those of rank ${differs} differ from those of rank 0`,
        { hint: "Give every machine the same copy of the dataset" },
      );
  }

  /** Copies the state of rank 0 to all others. */
  sendState(training: Pick<Training, "parts" | "ema" | "settings">): void {
    if (this.#alone) return;
    this.order({ do: "state", figures: stateFigures(training) });
    this.peers ??= this.#join(training);
    broadcastState(training, this.ranks);
  }

  /**
   * Compares the weights of all processes, and has those follow rank 0 again whose last digits differ: processors of
   * another kind may add in another order.
   */
  compareWeights(training: Pick<Training, "parts" | "ema" | "settings">): void {
    if (this.#alone) return;
    this.order({ do: "compare" });
    const sums = this.ranks.gather(sumOfBits(training));
    const rank = sums.findIndex((sum) => sum !== sums[0]);
    if (rank < 0) return;
    if (!this.#drifted)
      this.warnings.push(
        `The weights of rank ${rank} have other last digits than those of rank 0, as on processors of another kind: after every epoch all processes take the weights of rank 0`,
      );
    this.#drifted = true;
    this.sendState(training);
  }

  #join(training: Pick<Training, "parts" | "settings">): RankPeers | null {
    return this.ranks.group === null ? null : new RankPeers(this.ranks, this.ranks.group, training);
  }

  /**
   * Has all processes take a step, which the caller takes right after it.
   * @param boxes of rank 0's micro-batches
   * @returns the boxes of all micro-batches
   */
  beginStep(plan: StepPlan, boxes: readonly number[]): readonly number[] {
    if (this.#alone) return boxes;
    const statuses = this.order({ do: "step", plan }, boxes);
    return statuses.flatMap((status, rank) => {
      if (status.boxes !== null) return status.boxes;
      throw new InternalError(`Expected micro-batches of rank ${rank} for step ${plan.step} but its data have ended`);
    });
  }

  /**
   * Runs a faulty step again in all processes.
   * @returns the report of the first that found something, and its rank; null in a run of one process
   */
  replay(scale: number, own: () => OverflowReport): { report: OverflowReport; rank: number | null } {
    if (this.#alone) return { report: own(), rank: null };
    this.order({ do: "replay", scale });
    const reports = this.ranks.gather(own());
    const rank = reports.findIndex(({ phase }) => phase !== "none");
    return rank < 0 ? { report: reports[0], rank: null } : { report: reports[rank], rank };
  }

  /** Evaluates in all processes. @returns the filled evaluator; null where it was stopped */
  async evaluate(
    what: { split: "valid" | "test"; batch: number; shipped: boolean },
    options: EvaluationOptions,
  ): Promise<CocoEvaluator | null> {
    if (this.#alone) return await evaluate(options);
    this.order({ do: "evaluate", ...what, loss: options.loss !== undefined });
    return await evaluateTogether(this.ranks, options, {
      stop: () => Atomics.load(this.stop, 0),
      heard: (stops) => this.#hear(stops),
    });
  }

  /**
   * Lets the others go, at the end of a run that did not fail.
   * @param done the last event, which the others have too
   */
  end(done: DoneEvent | null): void {
    if (this.#alone) return;
    try {
      this.order({ do: "end", done });
      this.peers?.close();
      this.ranks.leave();
    } catch (error) {
      // The run is complete: a process that is gone by now changes nothing.
      if (!(error instanceof distributed.DistributedError)) throw error;
    }
  }
}

/** Sentences for all images that were left out so far, by any process. */
export function leftOutOf({ data, leader }: { data: Pick<TrainData, "leftOut">; leader: Leader }): ReadonlySet<string> {
  return new Set([...data.leftOut(), ...leader.leftOut]);
}
