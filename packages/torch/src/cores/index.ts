// How many cores this process may use: by its affinity, and by the quotas of its control groups.
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";

/** What {@link usableCores} finds. */
export interface UsableCores {
  /** Threads that can run at the same time: whole cores, a part of a core counts as one. At least 1. */
  threads: number;
  /** Cores that the process may run on: all, or those of its affinity and cpuset. */
  allowed: number;
  /** Processor time that its control groups grant it, in cores, such as 1.5; null without a quota. */
  quota: number | null;
  /** What decides, such as `a quota of 1.5 cores`. */
  reason: string;
}

/**
 * The cores that this process may use. A control group (a container's limit) counts with all groups above it, in
 * version 1 and in version 2. On systems other than Linux it is what Node reports.
 * @param root folder that stands for `/`, in tests
 * @example
 * import { usableCores } from "@rfdetr/torch/cores";
 * console.log(usableCores().threads);
 */
export function usableCores(root = "/"): UsableCores {
  const [, list] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(read(join(root, "proc/self/status")) ?? "") ?? [];
  const allowed = list === undefined ? availableParallelism() : countOf(list);
  const least = Math.min(...quotasOf(root));
  const quota = least === Number.POSITIVE_INFINITY ? null : least;
  if (quota !== null && quota < allowed)
    return {
      threads: Math.ceil(quota),
      allowed,
      quota,
      reason: `a quota of ${quota} ${quota === 1 ? "core" : "cores"}`,
    };
  return { threads: allowed, allowed, quota, reason: `${allowed} ${allowed === 1 ? "core" : "cores"} to run on` };
}

/** Numbers in a list such as `0-3,8`. */
function countOf(list: string): number {
  return list
    .split(",")
    .map((range) => range.split("-").map(Number))
    .reduce((sum, [first = 0, last = first]) => sum + last - first + 1, 0);
}

/** The quotas of the control groups of this process and of those above them, in cores. */
function quotasOf(root: string): number[] {
  return (read(join(root, "proc/self/cgroup")) ?? "").split("\n").flatMap((line) => {
    const [, controllers = "", path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) return [];
    const v2 = controllers === "";
    if (!v2 && !controllers.split(",").includes("cpu")) return [];
    const top = join(root, "sys/fs/cgroup", v2 ? "" : "cpu");
    const quotas: number[] = [];
    for (let at = path; ; at = dirname(at)) {
      quotas.push(v2 ? quotaOfV2(join(top, at)) : quotaOfV1(join(top, at)));
      if (at === "/") break;
    }
    return quotas;
  });
}

/** `cpu.max`: `150000 100000`, microseconds of a period, or `max 100000`. */
function quotaOfV2(folder: string): number {
  const [quota = 0, period = 0] = (read(join(folder, "cpu.max")) ?? "max").trim().split(" ").map(Number);
  return cores(quota, period);
}

/** -1 is no quota. */
function quotaOfV1(folder: string): number {
  return cores(Number(read(join(folder, "cpu.cfs_quota_us")) ?? -1), Number(read(join(folder, "cpu.cfs_period_us"))));
}

function cores(quota: number, period: number): number {
  return quota > 0 && period > 0 ? quota / period : Number.POSITIVE_INFINITY;
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
