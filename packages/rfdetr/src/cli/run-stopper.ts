// How a training is ended from outside: by Ctrl-C, a terminal that closes, a container that stops, or the end of npx.
import { readFileSync } from "node:fs";
import { type StopSignal, stopSignals } from "../run/control/stop-request.js";
import { exit } from "./context.js";

/** Exit codes of the signals that end a run. */
export const exitCodes: Readonly<Record<StopSignal, number>> = {
  SIGHUP: exit.hungUp,
  SIGINT: exit.interrupted,
  SIGTERM: exit.terminated,
};

/** A second signal within this many milliseconds is the first again: npx passes on what the terminal sent already. */
const echo = 1000;
/**
 * Seconds without an event, without computing and without a transfer after which a run that was asked to stop is taken
 * to be stuck.
 */
const patience = 20;
/** Seconds after which it is told that the disk holds a run up that is to end. */
const slow = 5;
/** The same for a run that has ended and waits for its threads only. */
const farewell = 3;
/** CPU time in microseconds per second below which nothing is computed: a step keeps at least one core busy. */
const idle = 50_000;
/** Bytes read and written per second below which nothing is saved. What this file itself reads is less. */
const still = 2 ** 16;

/** What `RunStopper` needs of the process. */
export type HostProcess = Pick<NodeJS.Process, "pid" | "ppid" | "env" | "on" | "off" | "kill" | "cpuUsage">;

/** What to do when a run is to end. */
export interface StopActions {
  /** Asks the run to save a checkpoint and end. */
  stop(signal: StopSignal): void;
  /** Ends at once what works for the run in other processes; one that was stopped would stay. */
  quit?(): void;
  /** Tells the user. */
  say(line: string): void;
  /** The command that continues the run; null before its folder is known. */
  resume(): string | null;
  /**
   * Whether other processes train too. This one may then wait for them without computing, and what hangs is found by
   * their timeout.
   */
  several?: boolean;
  /** The path of what the run writes at this moment; null for nothing. It is waited for, however slow the disk is. */
  saving?(): string | null;
  /** Whether it still waits for them, in a call that only ends when they have come: nothing is there to be saved. */
  isJoining?(): boolean;
}

/**
 * Stops a run from outside. The first signal has it save and stop, a later one quits at once. Where the processes of a
 * group have not met yet, the first one quits too. When npx or npm has started the run and is gone, the run stops as by
 * SIGTERM, because they do not pass that signal on. A run that does not answer, because a read does not return, ends
 * with what its last checkpoint holds. What it is writing is waited for, and named.
 */
export class RunStopper {
  /** The signal that asked first; null if none did. */
  received: StopSignal | null = null;
  #at = 0;
  #quiet = 0;
  #writing: { path: string; seconds: number } | null = null;
  #cpu: number;
  #bytes: number;
  #ended = false;
  readonly #parents: string | null;
  readonly #clock: NodeJS.Timeout;
  readonly #handlers = stopSignals.map((signal) => [signal, () => this.#request(signal)] as const);

  constructor(
    readonly actions: StopActions,
    readonly host: HostProcess = process,
    readonly transferred: () => number = bytesTransferred,
  ) {
    this.#parents = host.env.npm_execpath === undefined ? null : this.#chain();
    this.#cpu = this.#used();
    this.#bytes = transferred();
    for (const [signal, handler] of this.#handlers) host.on(signal, handler);
    this.#clock = setInterval(() => this.#tick(), 1000);
    this.#clock.unref();
  }

  /** The run has sent an event. */
  alive(): void {
    this.#quiet = 0;
  }

  /** The run has sent its last event; a thread of it may still hang. */
  ended(): void {
    this.#ended = true;
    this.#quiet = 0;
  }

  close(): void {
    for (const [signal, handler] of this.#handlers) this.host.off(signal, handler);
    clearInterval(this.#clock);
  }

  #request(signal: StopSignal, why: string = signal): void {
    const now = performance.now();
    if (this.received !== null) {
      if (now - this.#at >= echo) this.#die(signal);
      return;
    }
    this.received = signal;
    this.#at = now;
    this.#quiet = 0;
    if (this.actions.isJoining?.()) {
      this.actions.say(`${why}: the processes have not met yet, so there is nothing to save.`);
      this.#die(signal);
      return;
    }
    this.actions.say(
      signal === "SIGINT"
        ? "Saving a checkpoint, then stopping. Press Ctrl-C again to quit at once."
        : `${why}: saving a checkpoint, then stopping.`,
    );
    this.actions.stop(signal);
  }

  #tick(): void {
    if (this.received === null) {
      if (this.#parents !== null && this.#parents !== this.#chain())
        this.#request("SIGTERM", "The program that started this one is gone");
      return;
    }
    const [cpu, bytes] = [this.#used(), this.transferred()];
    if (this.#isWriting(this.received)) this.#quiet = -1;
    if (this.actions.several) return;
    this.#quiet = cpu - this.#cpu > idle || bytes - this.#bytes > still ? 0 : this.#quiet + 1;
    [this.#cpu, this.#bytes] = [cpu, bytes];
    if (this.#quiet < (this.#ended ? farewell : patience)) return;
    if (!this.#ended) {
      const resume = this.actions.resume();
      this.actions.say(
        `The run has not answered for ${patience} seconds: a disk cannot be read, or a callback or an augmentation of your own does not return. It ends with what its last checkpoint holds.`,
      );
      if (resume !== null) this.actions.say(`Continue with: ${resume}`);
    }
    this.#die(this.received);
  }

  /** Whether the run writes a file; tells of one that takes long. */
  #isWriting(signal: StopSignal): boolean {
    const path = this.actions.saving?.() ?? null;
    if (path !== null && path === this.#writing?.path) this.#writing.seconds++;
    else this.#writing = path === null ? null : { path, seconds: 1 };
    if (this.#writing?.seconds === slow)
      this.actions.say(
        `The disk is slow: ${path} is still being written, and the run ends when it is whole. ${signal === "SIGINT" ? "Ctrl-C" : `A second ${signal}`} quits at once, with what was saved before.`,
      );
    return path !== null;
  }

  /** By the signal itself: `process.exit` would wait for threads, which may be stuck. Shells show the same code. */
  #die(signal: StopSignal): void {
    this.close();
    this.actions.quit?.();
    this.host.kill(this.host.pid, signal);
  }

  #used(): number {
    const { user, system } = this.host.cpuUsage();
    return user + system;
  }

  /** Parent and grandparent: npx starts a shell that starts this process, and either may be the one that is killed. */
  #chain(): string {
    const { ppid } = this.host;
    try {
      const stat = readFileSync(`/proc/${ppid}/stat`, "utf8");
      return `${ppid} ${stat.slice(stat.lastIndexOf(")")).split(" ")[2]}`;
    } catch {
      return String(ppid);
    }
  }
}

/** Bytes that this process has read and written; 0 where the system does not tell. */
function bytesTransferred(): number {
  try {
    const [, read, written] = /^rchar: (\d+)\nwchar: (\d+)/.exec(readFileSync("/proc/self/io", "utf8")) ?? [];
    return Number(read ?? 0) + Number(written ?? 0);
  } catch {
    return 0;
  }
}
