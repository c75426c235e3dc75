// @ts-check
// How long the event loop of a server stands still, and why.
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { createHistogram, monitorEventLoopDelay } from "node:perf_hooks";

/** Nanoseconds that the main thread has worked, and waited for a core. */
const schedstat = "/proc/self/schedstat";

/**
 * How long the event loop stands still: how late a timer of one millisecond is. On Linux also for how long the main
 * thread works between two turns of such a timer, and for how long it waits for a core.
 */
export class Lags {
  /** @type {[string, import("node:perf_hooks").Histogram, () => void][]} name, what is measured, how it ends */
  #spans = [];

  constructor() {
    this.#begin();
  }

  #begin() {
    const lag = monitorEventLoopDelay({ resolution: 1 });
    lag.enable();
    this.#spans = [["late", lag, () => lag.disable()], ...watchThread()];
  }

  /** What was measured until now; the next part begins. */
  next() {
    const measured = this.end();
    this.#begin();
    return measured;
  }

  /** @returns {Record<string, {median: number, p99: number, max: number}>} in milliseconds */
  end() {
    const rows = this.#spans.map(([name, span, stop]) => {
      stop();
      // The timer's own millisecond is no lag.
      const own = name === "late" ? 1 : 0;
      const [median, p99, max] = [span.percentile(50), span.percentile(99), span.max].map((nanoseconds) =>
        Math.max(0, nanoseconds / 1e6 - own),
      );
      return [name, { median, p99, max }];
    });
    return Object.fromEntries(rows);
  }
}

/** @returns {[string, import("node:perf_hooks").Histogram, () => void][]} none where the system does not tell */
function watchThread() {
  if (!existsSync(schedstat)) return [];
  const file = openSync(schedstat, "r");
  const text = Buffer.alloc(128);
  const now = () =>
    text
      .toString("latin1", 0, readSync(file, text, 0, 128, 0))
      .split(" ")
      .map(Number);
  const spans = [createHistogram(), createHistogram()];
  let before = now();
  const clock = setInterval(() => {
    const after = now();
    for (const [i, span] of spans.entries()) span.record(Math.max(1, after[i] - before[i]));
    before = after;
  }, 1);
  const stop = () => {
    clearInterval(clock);
    closeSync(file);
  };
  return [
    ["worked", spans[0], stop],
    ["waited", spans[1], () => {}],
  ];
}
