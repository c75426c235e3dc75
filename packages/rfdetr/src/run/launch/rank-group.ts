// The processes of a run on this machine, from their start until the last of them has ended.

import { type Activity, activityOf, isActive } from "../../support/machine/process-activity.js";
import type { StopRequest, StopSignal } from "../control/stop-request.js";
import type { TrainEvent } from "../events/events.js";
import { type Hang, watchEnd } from "./end-watch.js";
import type { RankRequest } from "./messages.js";
import { type RankListener, RankProcess, type RankProgram, storeFd } from "./rank-process.js";
import { openStoreSocket, type StoreSocket } from "./store-socket.js";

/** Milliseconds within which this process receives a signal too, if it was sent to all processes, as Ctrl-C is. */
const echo = 200;
/** Milliseconds after which a process that was killed, and is still there, is left to the system. */
const oblivion = 5000;

/** How often rank 0, which saves what there is, gets more time to end while it does something. */
const spares = 60;

/** What a group needs to run. */
export interface GroupOptions {
  request: Omit<RankRequest, "place">;
  program: RankProgram;
  /** Number of processes. */
  size: number;
  /** Counts the attempts of a run: their keys in the store differ. */
  attempt: number;
  stop: StopRequest;
  emit: (event: TrainEvent) => void;
}

/** Starts the processes of a run. @returns all of them, when each has ended */
export async function runGroup(options: GroupOptions): Promise<readonly RankProcess[]> {
  const socket = await openStoreSocket();
  return new RankGroup(options, socket).ended;
}

class RankGroup {
  readonly ended: Promise<readonly RankProcess[]>;
  readonly #ranks: RankProcess[] = [];
  readonly #options: GroupOptions;
  readonly #unlisten: (() => void)[];
  #resolve: (ranks: readonly RankProcess[]) => void = () => {};
  #clock: NodeJS.Timeout | null = null;
  /** What rank 0 had done when the clock was set, and how often it got more time. */
  #seen: Activity | null = null;
  #spared = 0;
  #echo: NodeJS.Timeout | null = null;

  constructor(options: GroupOptions, socket: StoreSocket) {
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#unlisten = [
      options.stop.onAsk((signal) => this.#stop(signal)),
      options.stop.onQuit(() => {
        for (const rank of this.#ranks) rank.kill();
      }),
    ];
    for (let rank = 0; rank < options.size; rank++) {
      this.#ranks.push(new RankProcess(rank, options.program.script, rank === 0 ? socket : null, this.#listener(rank)));
      // From here on only rank 0 has it: nobody accepts in its place.
      if (rank === 0) socket.close();
    }
    for (const rank of this.#ranks) rank.tell({ begin: this.#request(rank.rank, socket.port) });
    if (options.stop.asked) this.#stop(options.stop.signal);
  }

  /** Asks all to save and end. One that hangs would hold the others up, and is given up. */
  #stop(signal: StopSignal | null): void {
    const { patience } = this.#options.program;
    for (const rank of this.#ranks) rank.tell({ stop: signal });
    this.#unlisten.push(watchEnd(this.#ranks, patience, (ranks, why) => this.#giveUp(ranks, why)));
  }

  #giveUp(ranks: readonly RankProcess[], why: Hang): void {
    const { patience } = this.#options.program;
    const words =
      why === "stopped"
        ? `was stopped from outside, as by SIGSTOP or a debugger, and did not end within ${patience} seconds`
        : `was given up, since no process did anything for ${patience} seconds`;
    for (const rank of ranks) {
      rank.hung ??= `${words} after all were asked to save and end`;
      rank.kill();
    }
  }

  #request(rank: number, port: number): RankRequest {
    const { request, size, attempt } = this.#options;
    const isFirst = rank === 0;
    return {
      ...request,
      place: {
        rank,
        size,
        localRank: rank,
        localSize: size,
        address: "127.0.0.1",
        port,
        ...(isFirst ? { storeFd } : {}),
        isStoreServer: isFirst,
        prefix: `rfdetr/${attempt}`,
        timeoutSeconds: request.settings.processTimeout,
      },
    };
  }

  #listener(rank: number): RankListener {
    const { stop, emit } = this.#options;
    return {
      message: (message) => {
        if ("event" in message) return emit(message.event);
        if ("saving" in message) {
          if (rank === 0) stop.saving = message.saving;
          return;
        }
        this.#echo ??= setTimeout(() => {
          if (stop.asked) return;
          emit({ type: "note", message: `Rank ${rank} received ${message.signal}: all save and end` });
          stop.ask(message.signal);
        }, echo);
      },
      changed: () => this.#changed(),
    };
  }

  /** The first that ends gives the others some time to end as well. */
  #changed(): void {
    if (this.#ranks.some(({ exit }) => exit === null)) {
      this.#clock ??= this.#setClock();
      return;
    }
    this.#finish();
  }

  #setClock(): NodeJS.Timeout {
    this.#seen = this.#activity();
    return setTimeout(() => this.#killRest(), this.#options.program.farewell);
  }

  /** What rank 0 has done; null where it has nothing left to save. */
  #activity(): Activity | null {
    const [{ pid, exit, done, failure }] = this.#ranks;
    return pid === undefined || exit !== null || done || failure !== null ? null : activityOf(pid);
  }

  /** Whether rank 0 still saves what there is: weights and a checkpoint of a large model take their time. */
  #isSaving(): boolean {
    const [before, now] = [this.#seen, this.#activity()];
    const { farewell } = this.#options.program;
    const isBusy = before !== null && now !== null && isActive(before, now, farewell / 1000);
    const isFlushing = now !== null && this.#ranks[0].saving !== null;
    return (isBusy || isFlushing) && this.#spared++ < spares;
  }

  #killRest(): void {
    const spared = this.#isSaving() ? 0 : null;
    for (const rank of this.#ranks) if (rank.rank !== spared) rank.kill();
    if (spared !== null) {
      this.#clock = this.#setClock();
      return;
    }
    this.#clock = setTimeout(() => {
      for (const rank of this.#ranks) if (rank.exit === null) rank.forsake();
      this.#finish();
    }, oblivion);
  }

  #finish(): void {
    for (const timer of [this.#clock, this.#echo]) if (timer !== null) clearTimeout(timer);
    for (const remove of this.#unlisten) remove();
    this.#resolve(this.#ranks);
  }
}
