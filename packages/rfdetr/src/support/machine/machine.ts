// The machine and the process that a run reports.

import { availableParallelism, cpus, loadavg, totalmem } from "node:os";
import { formatBytes } from "@rfdetr/amp/text";

/** One line such as `2 × Intel(R) Xeon(R) Processor @ 2.60GHz, 7.8 GiB, linux x64`. */
export function machineLine(): string {
  const list = cpus();
  const model = list[0]?.model.trim() ?? "unknown processor";
  return `${availableParallelism()} × ${model}, ${formatBytes(totalmem())}, ${process.platform} ${process.arch}`;
}

/** How busy a machine is, in words, and whether times that are measured on it are too long. */
export interface Busyness {
  text: string;
  busy: boolean;
}

/**
 * How busy the machine is.
 * @param load processes that ran or waited for a core, on average over the last minute
 * @param cores cores that this process may use
 * @returns `text`, and whether measured times are longer than on an idle machine
 */
export function busyness(load = loadavg()[0], cores = availableParallelism()): Busyness {
  const busy = load > cores / 2;
  const average = `${load.toFixed(1)} processes on ${cores} cores in the last minute`;
  return {
    text: busy
      ? `${average}: other programs take time from what is measured; measure again when they are idle`
      : average,
    busy,
  };
}

/** Largest resident set of the process so far, in bytes. */
export function peakRss(): number {
  return process.resourceUsage().maxRSS * 1024;
}
