// One process of a group, as its launcher sees it.
import { type ChildProcess, fork } from "node:child_process";
import { createInterface } from "node:readline";
import type { SentError } from "../../support/error-transfer.js";
import { workerScript } from "../../support/machine/worker-path.js";
import type { FromRank, ToRank } from "./messages.js";
import type { StoreSocket } from "./store-socket.js";

/** The file descriptor at which rank 0 finds the socket of the store: the first after the pipe to the launcher. */
export const storeFd = 4;

/** How a process ended. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** What is wanted of a process besides its state. */
export interface RankListener {
  message(message: Extract<FromRank, { event: unknown } | { signal: unknown } | { saving: unknown }>): void;
  /** It has failed, is done, or is gone. */
  changed(): void;
}

/** A process that trains, and what it has said. */
export class RankProcess {
  /** What it said that it failed with. */
  failure: SentError | null = null;
  /** Whether it said that it is done. */
  done = false;
  /** How it ended; null while it runs. */
  exit: Exit | null = null;
  /** Whether the launcher has ended it. */
  killed = false;
  /** Why the launcher gave it up while all were to save and end; null where it did not. */
  hung: string | null = null;
  /** The path of what it writes; null for nothing. */
  saving: string | null = null;
  /** The last line that it wrote on stderr. */
  lastLine: string | null = null;
  readonly #child: ChildProcess;

  /**
   * @param script the script of a rank
   * @param socket for rank 0: the socket of the store
   */
  constructor(
    readonly rank: number,
    script: string,
    socket: StoreSocket | null,
    listener: RankListener,
  ) {
    // The argument is for who looks at the list of processes.
    this.#child = fork(script, [`rank=${rank}`], {
      stdio: ["ignore", "pipe", "pipe", "ipc", ...(socket === null ? [] : [socket.fd])],
      serialization: "advanced",
      execArgv: process.execArgv.filter((flag) => !/^--(input-type|inspect|eval|print|-[ep]$)/.test(flag)),
    });
    this.#child.on("message", (message: FromRank) => {
      if ("saving" in message) this.saving = message.saving;
      if ("event" in message || "signal" in message || "saving" in message) return listener.message(message);
      if ("done" in message) this.done = true;
      else this.failure ??= message.failure;
      listener.changed();
    });
    const ended = (exit: Exit): void => {
      if (this.exit !== null) return;
      this.exit = exit;
      // It had ended by itself when it was to be killed.
      if (exit.signal !== "SIGKILL") this.killed = false;
      listener.changed();
    };
    // What it has sent arrives before the end of its streams.
    this.#child.on("close", (code, signal) => ended({ code, signal }));
    this.#child.on("error", (error) => {
      this.lastLine ??= error.message;
      if (this.#child.pid === undefined) ended({ code: null, signal: null });
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      if (stream !== null) createInterface({ input: stream }).on("line", (line) => this.#said(line));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  tell(message: ToRank): void {
    if (!this.#child.connected) return;
    // One that has just gone is dealt with when its end is known.
    this.#child.send(message, () => {});
  }

  kill(): void {
    if (this.exit !== null) return;
    this.killed = true;
    this.#child.kill("SIGKILL");
  }

  /** Does not wait for it any more: what the system cannot end, such as a process whose disk hangs, would hold up the
   * launcher. */
  forsake(): void {
    this.#child.unref();
    this.#child.channel?.unref();
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.destroy();
  }

  #said(line: string): void {
    if (line.trim() === "") return;
    this.lastLine = line;
    process.stderr.write(`[rank ${this.rank}] ${line}\n`);
  }
}

/** What the processes of a group run. */
export interface RankProgram {
  /** Path of the script. */
  script: string;
  /** Milliseconds that processes have to end by themselves after another has failed, or after rank 0 is done. */
  farewell: number;
  /** Seconds after which a process is given up that was asked to save and end, and hangs. */
  patience: number;
}

/** The program of a rank that trains. @throws InternalError if it was not built */
export const trainingRank = (): RankProgram => ({
  script: workerScript(import.meta.url, "rank-worker.js"),
  farewell: 10_000,
  patience: 20,
});
