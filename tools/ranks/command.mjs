// @ts-check
// The command as the harness starts it: its output, its processes, and what must hold when all of them have ended.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const rfdetr = fileURLToPath(new URL("../../packages/rfdetr/bin/rfdetr.mjs", import.meta.url));

/** @param {number} milliseconds */
export const sleep = (milliseconds) => new Promise((later) => setTimeout(later, milliseconds));

/**
 * Numbers from 0 to 1 out of a seed (mulberry32).
 * @param {number} seed
 */
export function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Makes the data that all runs train on.
 * @param {string} folder
 */
export function makeData(folder) {
  const words = ["data", "synth", "data", "--images", "16", "--size", "64"];
  const { status, stderr } = spawnSync(process.execPath, [rfdetr, ...words], { cwd: folder, encoding: "utf8" });
  if (status !== 0) throw new Error(`The data could not be made: ${stderr}`);
}

/**
 * The words of a training that saves after every step.
 * @param {string} out @param {{ steps: number, timeout: number, processes?: number, more?: readonly string[] }} options
 */
export const trainingOf = (out, { steps, timeout, processes, more = [] }) => [
  ...["train", "--data", "data", "--model", "tiny", "--out", out, "--batch", "2", "--precision", "32-true"],
  ...["--seed", "1", "--epochs", "1000", "--set", `max_steps=${steps}`, "--set", "checkpoint_seconds=0"],
  ...["--set", "eval_interval=1", "--set", "plots=false", "--set", `process_timeout=${timeout}`],
  ...(processes === undefined ? [] : ["--processes", String(processes)]),
  ...more,
];

/** The words that continue a run. @param {string} out @param {readonly string[]} [more] */
export const resumingOf = (out, more = []) => ["train", "--resume", out, ...more];

/**
 * @typedef {{ code: number | null, signal: NodeJS.Signals | null, seconds: number }} Ended
 */

/** A command that was started. */
export class Command {
  stdout = "";
  stderr = "";
  #began = performance.now();
  /** @type {Ended | null} */
  result = null;

  /**
   * @param {readonly string[]} words
   * @param {{ cwd: string, env?: Record<string, string>, before?: readonly string[] }} options `before`: a program that
   * starts it, with its words
   */
  constructor(words, { cwd, env = {}, before = [] }) {
    const [program, ...rest] = [...before, process.execPath, rfdetr, ...words];
    // Another number of threads would give other last bits.
    const variables = { ...process.env, OMP_NUM_THREADS: "1", ...env };
    this.child = spawn(/** @type {string} */ (program), rest, { cwd, env: variables, detached: true });
    this.child.stdout.on("data", (text) => {
      this.stdout += text;
    });
    this.child.stderr.on("data", (text) => {
      this.stderr += text;
    });
    /** @type {Promise<Ended>} */
    this.ended = new Promise((resolve) => {
      this.child.on("close", (code, signal) => {
        this.result = { code, signal, seconds: (performance.now() - this.#began) / 1000 };
        resolve(this.result);
      });
    });
  }

  get pid() {
    return /** @type {number} */ (this.child.pid);
  }

  /** @param {NodeJS.Signals} signal */
  kill(signal) {
    process.kill(this.pid, signal);
  }

  /**
   * Waits until something holds, or the command has ended. @param {() => boolean} holds
   * @returns {Promise<boolean>} whether it held
   */
  async until(holds) {
    while (!holds()) {
      if (this.result !== null) return false;
      await sleep(20);
    }
    return true;
  }

  /**
   * Waits for the end; kills everything that is still there after so many seconds.
   * @param {number} limit
   * @returns {Promise<Ended | null>} null where it had to be killed
   */
  async end(limit) {
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, limit * 1000, null);
    });
    const first = await Promise.race([this.ended, late]);
    // It would keep the harness alive.
    clearTimeout(timer);
    if (first !== null) return /** @type {Ended} */ (first);
    for (const { pid } of [...descendants(this.pid), { pid: this.pid }]) killQuietly(pid);
    return null;
  }

  /** The processes that train, by their ranks. */
  ranks() {
    return descendants(this.pid).flatMap(({ pid, words }) => {
      const rank = /\brank=(\d+)$/.exec(words)?.[1];
      return rank === undefined ? [] : [{ pid, rank: Number(rank) }];
    });
  }

  /** Lines that say why it failed. */
  get errors() {
    return this.stderr.split("\n").filter((line) => line.startsWith("error:"));
  }
}

/** @param {number} pid */
export function killQuietly(pid) {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has gone.
  }
}

/** All processes below one, with their command lines. @param {number} top */
export function descendants(top) {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        const [, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        const words = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ").trim();
        return [{ pid: Number(name), parent: Number(parent), words }];
      } catch {
        return [];
      }
    });
  /** @type {typeof all} */
  const found = [];
  const below = new Set([top]);
  for (let before = -1; before !== found.length; ) {
    before = found.length;
    for (const process of all)
      if (below.has(process.parent) && !below.has(process.pid)) {
        below.add(process.pid);
        found.push(process);
      }
  }
  return found;
}

/** Whether a process is there and no zombie. @param {number} pid */
export function isRunning(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2)[0] !== "Z";
  } catch {
    return false;
  }
}

/**
 * What is wrong with how a command ended that should have failed with one sentence.
 * @param {Command} command @param {readonly number[]} pids all its processes
 * @param {{ errors?: number }} [expected] lines that say why
 * @returns {string[]}
 */
export function faultsOf(command, pids, { errors = 1 } = {}) {
  const { stderr, result } = command;
  const alive = pids.filter(isRunning);
  return [
    ...(result === null ? ["did not end in time"] : []),
    ...(command.errors.length === errors ? [] : [`said ${command.errors.length} sentences in place of ${errors}`]),
    ...(/^\s+at .*:\d+|Exception raised from|terminate called|frame #\d/m.test(stderr)
      ? ["printed a stack trace"]
      : []),
    ...(alive.length > 0 ? [`left processes ${alive.join(", ")}`] : []),
  ];
}

/** Whether a run is there that can be resumed. @param {string} folder */
export const hasRun = (folder) => existsSync(join(folder, "config.json"));

/** A digest of the tensors of a safetensors file; its metadata do not count. @param {string} file */
export function weightsDigest(file) {
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const { __metadata__: _, ...tensors } = JSON.parse(bytes.toString("utf8", 8, 8 + length));
  return createHash("sha256")
    .update(JSON.stringify(tensors))
    .update(bytes.subarray(8 + length))
    .digest("hex")
    .slice(0, 16);
}

/** The weights that a run ended with. @param {string} run */
export const endOf = (run) => weightsDigest(join(run, "weights", "last.safetensors"));

/** @param {readonly number[]} values */
export function spread(values) {
  if (values.length === 0) return "none";
  const sorted = [...values].sort((a, b) => a - b);
  const at = (/** @type {number} */ share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return `median ${at(0.5)?.toFixed(1)} s, longest ${sorted.at(-1)?.toFixed(1)} s`;
}
