// How much memory a process may still take: of the machine, and of the control groups that it is in.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Bytes that this process may still take before the system or a control group (a container's limit) ends it. A group
 * counts with all groups above it; file pages that it can give back at once count as free. On systems other than Linux
 * it is what Node reports.
 * @param root folder that stands for `/`, in tests
 */
export function availableMemory(root = "/"): number {
  const machine = /^MemAvailable:\s+(\d+) kB/m.exec(read(join(root, "proc/meminfo")) ?? "");
  if (machine === null) return process.availableMemory();
  return Math.min(Number(machine[1]) * 1024, ...groupsOf(root).map(roomOf));
}

/** A level of a hierarchy of control groups, with the names of its files. */
interface Group {
  folder: string;
  limits: readonly string[];
  usage: string;
  /** The line of `memory.stat` that counts file pages which have not been used lately. */
  cached: string;
}

/** The control groups of this process that limit memory, the innermost first. */
function groupsOf(root: string): Group[] {
  return (read(join(root, "proc/self/cgroup")) ?? "").split("\n").flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) return [];
    const v2 = controllers === "";
    if (!v2 && !controllers.split(",").includes("memory")) return [];
    const top = join(root, "sys/fs/cgroup", v2 ? "" : "memory");
    const files = v2
      ? { limits: ["memory.max", "memory.high"], usage: "memory.current", cached: "inactive_file" }
      : { limits: ["memory.limit_in_bytes"], usage: "memory.usage_in_bytes", cached: "total_inactive_file" };
    const folders: string[] = [];
    for (let at = path; ; at = dirname(at)) {
      folders.push(join(top, at));
      if (at === "/") break;
    }
    return folders.map((folder) => ({ folder, ...files }));
  });
}

function roomOf({ folder, limits, usage, cached }: Group): number {
  // "max", and the file that is missing at the top, are no limit.
  const limit = Math.min(...limits.map((name) => number(read(join(folder, name))) ?? Number.POSITIVE_INFINITY));
  const used = number(read(join(folder, usage)));
  if (limit === Number.POSITIVE_INFINITY || used === null) return Number.POSITIVE_INFINITY;
  const pages = new RegExp(`^${cached} (\\d+)$`, "m").exec(read(join(folder, "memory.stat")) ?? "");
  return Math.max(0, limit - used + Number(pages?.[1] ?? 0));
}

function number(text: string | null): number | null {
  return text !== null && /^\d+\s*$/.test(text) ? Number(text) : null;
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
