// What a process does, as the system counts it.
import { readdirSync, readFileSync } from "node:fs";

/** What the system has counted for a process since its start, and its state. */
export interface Activity {
  /** Hundredths of a second of CPU time, of all threads. */
  cpu: number;
  /** Bytes that its calls of the system have read and written; 0 where the system keeps them to itself. */
  bytes: number;
  /** Whether it was stopped, as by SIGSTOP or a debugger. */
  isStopped: boolean;
  /** Whether a thread of it waits for a disk. */
  waitsForDisk: boolean;
}

/** What a process has done; null where it is gone, or the system does not tell. */
export function activityOf(pid: number): Activity | null {
  try {
    const [state, ...fields] = statOf(`/proc/${pid}/stat`);
    // Fields 14 and 15 are the times in the program and in the system; `state` is field 3.
    return {
      cpu: Number(fields[10]) + Number(fields[11]),
      bytes: transferred(pid),
      isStopped: state === "T" || state === "t",
      waitsForDisk: readdirSync(`/proc/${pid}/task`).some((id) => statOf(`/proc/${pid}/task/${id}/stat`)[0] === "D"),
    };
  } catch {
    return null;
  }
}

/** Looks at what this process has done; what it reads for that does not count. */
export function ownActivity(): () => Activity | null {
  let looked = 0;
  return () => {
    const seen = activityOf(process.pid);
    if (seen === null) return null;
    const own = { ...seen, bytes: seen.bytes - looked };
    looked += transferred(process.pid) - seen.bytes;
    return own;
  };
}

function transferred(pid: number): number {
  try {
    const [, read, written] = /^rchar: (\d+)\nwchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, "utf8")) ?? [];
    return Number(read ?? 0) + Number(written ?? 0);
  } catch {
    return 0;
  }
}

/** The fields after the name of the command, which stands in brackets and may hold spaces. */
function statOf(path: string): string[] {
  const stat = readFileSync(path, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** Whether a process did something in the seconds between two looks, or a disk of it. */
export function isActive(before: Activity | null, now: Activity, seconds = 1): boolean {
  if (before === null || now.waitsForDisk) return true;
  return now.cpu - before.cpu > idleTicks * seconds || now.bytes - before.bytes > idleBytes * seconds;
}

/** In a second; timers and messages alone stay below. */
const idleTicks = 5;
const idleBytes = 2 ** 16;
