// @ts-check
// Reads many damaged files in processes of their own, and counts how each reading ended.
import { fork } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeInputs } from "./inputs.mjs";
import { kinds } from "./kinds.mjs";
import { randomOf } from "./mutations.mjs";

/** Bounds of one reading. */
export const limits = { seconds: 20, bytes: 2e9 };
/** How a reading may end; the first two are right. */
export const outcomes = /** @type {const} */ (["accepted", "refused", "fault", "polluted", "crash", "slow", "memory"]);

/** @typedef {(typeof outcomes)[number]} Outcome */
/** @typedef {{kind: string, number: number, outcome: Outcome, message: string, path: string}} Result */
/** @typedef {{outcome: Outcome, message: string, bytes: number, seconds: number}} Reading */

/** A process that reads files; it is made anew after one that it did not survive. */
class Reader {
  /** @type {import("node:child_process").ChildProcess | null} */
  #child = null;

  /** @returns {Promise<import("node:child_process").ChildProcess>} */
  async #start() {
    const child = fork(fileURLToPath(new URL("child.mjs", import.meta.url)), {
      execArgv: ["--max-old-space-size=1800"],
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    await new Promise((resolve, reject) => {
      child.once("message", resolve);
      child.once("exit", () => reject(new Error("The process that reads the files did not start")));
    });
    child.removeAllListeners("exit");
    return child;
  }

  /** @param {string} reader @param {string} path @returns {Promise<Reading>} */
  async read(reader, path) {
    this.#child ??= await this.#start();
    const child = this.#child;
    const start = performance.now();
    let bytes = 0;
    /** @type {Pick<Reading, "outcome" | "message">} */
    const end = await new Promise((resolve) => {
      const stop = (/** @type {Outcome} */ outcome, message = "") => {
        clearInterval(watch);
        child.removeAllListeners();
        if (outcome === "slow" || outcome === "memory" || outcome === "crash") this.#child = null;
        if (outcome === "slow" || outcome === "memory") child.kill("SIGKILL");
        resolve({ outcome, message });
      };
      const watch = setInterval(() => {
        bytes = Math.max(bytes, peakBytes(child.pid));
        if (bytes > limits.bytes) stop("memory");
        else if (performance.now() - start > limits.seconds * 1000) stop("slow");
      }, 50);
      child.once("message", (/** @type {any} */ { outcome, message }) => {
        bytes = Math.max(bytes, peakBytes(child.pid));
        if (bytes > limits.bytes) stop("memory", message);
        else stop(outcome, message);
      });
      child.once("exit", (code, signal) => stop("crash", `exit ${code ?? signal}`));
      child.send({ reader, path });
    });
    return { ...end, bytes, seconds: (performance.now() - start) / 1000 };
  }

  close() {
    this.#child?.disconnect();
  }
}

/**
 * Largest resident memory of a process since it was last counted anew; 0 where the system does not tell.
 * @param {number | undefined} pid
 */
function peakBytes(pid) {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/**
 * Makes and reads damaged files, the kinds in turn. File n of a seed is the same in every run.
 * @param {{files: number, seed: number, only?: string | undefined, keep?: string | undefined,
 *   progress?: ((done: number) => void) | undefined}} options only: part of the name of the kinds; keep: folder for the
 *   files that were not read rightly
 * @returns {Promise<{counts: Map<string, Record<Outcome, number>>, bad: Result[], peak: Reading["bytes"],
 *   longest: Reading["seconds"]}>}
 */
export async function fuzz({ files, seed, only = "", keep, progress }) {
  const folder = mkdtempSync(join(tmpdir(), "rfdetr-fuzz-"));
  const inputs = join(folder, "inputs");
  const chosen = kinds.filter(({ name }) => name.includes(only));
  const reader = new Reader();
  const none = () => /** @type {Record<Outcome, number>} */ (Object.fromEntries(outcomes.map((name) => [name, 0])));
  const counts = new Map(chosen.map(({ name }) => [name, none()]));
  /** @type {Result[]} */
  const bad = [];
  let [peak, longest] = [0, 0];
  try {
    await makeInputs(inputs);
    for (const kind of chosen) {
      const { outcome, message } = await reader.read(kind.reader, join(inputs, kind.whole));
      if (outcome !== "accepted") throw new Error(`The valid input of ${kind.name} was not accepted: ${message}`);
    }
    for (let number = 0; number < files; number++) {
      const kind = chosen[number % chosen.length];
      const random = randomOf(seed * 1_000_003 + number);
      const path = kind.make((items) => Math.floor(random() * items), inputs, join(folder, `f${number}`));
      const { outcome, message, bytes, seconds } = await reader.read(kind.reader, path);
      peak = Math.max(peak, bytes);
      longest = Math.max(longest, seconds);
      const row = counts.get(kind.name);
      if (row !== undefined) row[outcome]++;
      if (outcome !== "accepted" && outcome !== "refused") {
        bad.push({ kind: kind.name, number, outcome, message, path: basename(path) });
        if (keep !== undefined) {
          mkdirSync(keep, { recursive: true });
          cpSync(path, join(keep, basename(path)), { recursive: true });
        }
      }
      rmSync(path, { recursive: true, force: true });
      progress?.(number + 1);
    }
  } finally {
    reader.close();
    rmSync(folder, { recursive: true, force: true });
  }
  return { counts, bad, peak, longest };
}
