// One set-up at a time: a lock file with the process id; the lock of a process that is gone does not count.
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { say } from "./report.mjs";

const alive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
};

/**
 * Runs `body` while holding the lock. @template T @param {string} file @param {() => Promise<T>} body @returns
 * {Promise<T>}
 */
export async function locked(file, body) {
  mkdirSync(dirname(file), { recursive: true });
  for (let told = false; ; ) {
    try {
      const handle = openSync(file, "wx");
      writeSync(handle, String(process.pid));
      closeSync(handle);
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      let holder = 0;
      try {
        holder = Number(readFileSync(file, "utf8"));
      } catch {
        continue;
      }
      if (holder > 0 && !alive(holder)) {
        rmSync(file, { force: true });
        continue;
      }
      if (!told) say(`waiting for another set-up (process ${holder}) to end`);
      told = true;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }
  try {
    return await body();
  } finally {
    rmSync(file, { force: true });
  }
}
