// What the processes of one machine share: its cores, its GPUs, and the threads that load images.
import { readdirSync } from "node:fs";
import { usableCores } from "@rfdetr/torch/cores";
import { UsageError } from "../../support/errors.js";
import { counted } from "../../support/format.js";
import type { RankPlace } from "./rank-place.js";

/** Processes or threads for each core above which their number can only be a mistake. */
const mostPerCore = 4;

/**
 * Checks how many processes this machine is to train with.
 * @returns what the user should know; null where there is a core for each
 * @throws UsageError for more than the machine could ever use
 */
export function checkProcesses(processes: number, cores = usableCores().threads): string | null {
  const shared = sharedBy("processes", processes, cores);
  return shared && `${shared}: fewer would train faster, except where each has a GPU`;
}

/** The same of the threads that a process is to compute with. */
export function checkThreads(threads: number, cores = usableCores().threads): string | null {
  const shared = sharedBy("threads", threads, cores);
  return shared && `${shared}: fewer would compute faster`;
}

function sharedBy(name: "processes" | "threads", count: number, cores: number): string | null {
  if (count <= cores) return null;
  const have = counted(cores, "core");
  if (count > mostPerCore * cores)
    throw new UsageError(
      `Expected at most ${mostPerCore * cores} for ${name} on a machine with ${have} but received ${count}`,
    );
  return `${count} ${name} share ${have}`;
}

/**
 * Threads that one process of several on a machine computes with. @returns null where the user has said it by a
 * variable of OpenMP or MKL
 */
export function threadsOf(
  { localSize }: Pick<RankPlace, "localSize">,
  env: Readonly<Record<string, string | undefined>> = process.env,
  cores = usableCores().threads,
): number | null {
  if ([env.OMP_NUM_THREADS, env.MKL_NUM_THREADS].some((value) => value !== undefined)) return null;
  // SLURM may bind a task to its own cores, so that those it may use are not to be divided again.
  const given = Number(env.SLURM_CPUS_PER_TASK);
  return given > 0 ? given : Math.max(1, Math.floor(cores / localSize));
}

/** The GPUs that the driver of NVIDIA shows to this process; null where it does not tell. */
export function gpusHere(
  env: Readonly<Record<string, string | undefined>> = process.env,
  folder = "/proc/driver/nvidia/gpus",
): number | null {
  const visible = env.CUDA_VISIBLE_DEVICES;
  if (visible !== undefined) return visible.split(",").filter((name) => name.trim() !== "").length;
  try {
    return readdirSync(folder).length;
  } catch {
    return null;
  }
}

/** Threads that load images in one process, of so many for the machine; results do not depend on it. */
export function loadersOf({ localSize }: Pick<RankPlace, "localSize">, numWorkers: number): number {
  return Math.ceil(numWorkers / localSize);
}
