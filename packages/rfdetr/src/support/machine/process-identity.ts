// Tells a process from a later one with the same id.
import { readFileSync } from "node:fs";
import { hostname } from "node:os";

/** A process, as files name it. */
export interface ProcessIdentity {
  pid: number;
  host: string;
  /** What tells it from a later one with the same number; null where the system does not say. */
  process: string | null;
}

/** This process. */
export const thisProcess = (): ProcessIdentity => ({
  pid: process.pid,
  host: hostname(),
  process: identityOf(process.pid),
});

/** Whether a process may still run. Of another machine nobody here can know. */
export function mayRun({ pid, host, process: identity }: ProcessIdentity): boolean {
  if (host !== hostname()) return true;
  if (pid <= 0 || !exists(pid)) return false;
  const now = identityOf(pid);
  return identity === null || now === null || identity === now;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !hasEnded(pid);
  } catch (error) {
    // EPERM: it belongs to another user.
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** Whether a process has ended and nobody has asked how: in containers without an init process, that lasts. */
function hasEnded(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat[stat.lastIndexOf(")") + 2] === "Z";
  } catch {
    return false;
  }
}

/** The boot of the machine and its tick at which a process began; null outside Linux, and where the process is gone. */
export function identityOf(pid: number): string | null {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name of the command, in brackets, may hold spaces; field 22 is the 20th after it.
    return `${boot} ${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`;
  } catch {
    return null;
  }
}
