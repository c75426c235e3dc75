// One process per run: the file `lock` in its folder.
import { hostname } from "node:os";
import { join } from "node:path";
import { RunDirectoryError } from "../../support/errors.js";
import { writeFailure } from "../../support/files/atomic.js";
import { FileLock, type Holder } from "../../support/files/file-lock.js";

/** The name of the lock in the folder of a run. */
export const lockName = "lock";

/** The lock of a run that this process holds. */
export class RunLock {
  private constructor(readonly lock: FileLock) {}

  /**
   * Takes the lock of a run. That of a process of this machine that is gone is replaced.
   * @throws RunDirectoryError while another process holds it, or when the folder cannot be written
   */
  static acquire(folder: string): RunLock {
    const path = join(folder, lockName);
    try {
      return new RunLock(FileLock.acquire(path, (holder) => inProgress(folder, holder)));
    } catch (error) {
      throw writeFailure(path, error);
    }
  }

  /** Whether a process runs the run in this folder, as far as this machine can know. */
  static isHeld(folder: string): boolean {
    return holderOf(folder) !== null;
  }

  /**
   * Removes the lock that a thread of this process held when it died, or a process that is gone.
   * @param pid number of that process
   */
  static abandon(folder: string, pid = process.pid): void {
    FileLock.abandon(join(folder, lockName), pid);
  }

  /** Gives the run free. A lock that another process has put in the place of this one stays. */
  release(): void {
    this.lock.release();
  }
}

/** Who holds the run of a folder, so that it is in progress; null where nobody does, or the holder is gone. */
export function holderOf(folder: string): Holder | null {
  return FileLock.holderOf(join(folder, lockName));
}

function inProgress(folder: string, { pid, host, started }: Holder): RunDirectoryError {
  return new RunDirectoryError(`The run ${folder} is in progress (pid ${pid} on ${host} since ${started})`, {
    hint:
      host === hostname()
        ? `Wait for its end, or stop that process; if it is another program, remove ${join(folder, lockName)}`
        : `If it does not run any more, remove ${join(folder, lockName)}`,
  });
}
