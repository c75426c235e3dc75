// One set-up at a time: a lock file that names its process; the lock of a process that is gone does not count.
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { say } from "./report.mjs";
import { untilDone } from "./stopping.mjs";

const alive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
};

/**
 * Boot and start of a process, because its id may belong to another one later; "" where that cannot be known.
 * @param {number} pid
 */
function identityOf(pid) {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name of the program, in brackets, may hold spaces; the start is the 20th field after it.
    return `${boot}-${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`;
  } catch {
    return "";
  }
}

/** Milliseconds in which a process that made the file writes its id into it. */
const writing = 5000;

/** Locks that this process holds. @type {Set<string>} */
const own = new Set();

/** @param {string} file @returns {string | null} null if there is no lock any more */
function textOf(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}

/** Whether the process that a lock names may still run. @param {string} file @param {string} text */
function mayRun(file, text) {
  const [, id, identity = ""] = /^(\d+)(?: (\S+))?$/.exec(text) ?? [];
  // Without an id it is of a process that was killed while it wrote the lock, unless it is writing just now.
  if (id === undefined) return Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) < writing;
  const pid = Number(id);
  if (pid === process.pid) return own.has(file);
  return alive(pid) && (identity === "" || identity === identityOf(pid));
}

/** Removes a stale lock; one that another process has put in its place meanwhile is put back. */
function removeStale(file, text) {
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
    if (readFileSync(aside, "utf8") !== text) renameSync(aside, file);
  } catch {
    // Another process removed it first.
  }
  rmSync(aside, { force: true });
}

/**
 * Runs `body` while holding the lock. @template T @param {string} file @param {() => Promise<T>} body @returns
 * {Promise<T>}
 */
export async function locked(file, body) {
  mkdirSync(dirname(file), { recursive: true });
  for (let told = false; ; ) {
    try {
      const handle = openSync(file, "wx");
      writeSync(handle, `${process.pid} ${identityOf(process.pid)}`.trim());
      closeSync(handle);
      own.add(file);
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      const text = textOf(file);
      if (text === null) continue;
      if (!mayRun(file, text)) {
        removeStale(file, text);
        continue;
      }
      if (!told)
        say(`waiting for another set-up (process ${text.split(" ")[0]}) to end; if there is none, remove ${file}`);
      told = true;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }
  const isReleased = untilDone(() => rmSync(file, { force: true }));
  try {
    return await body();
  } finally {
    isReleased();
    own.delete(file);
    rmSync(file, { force: true });
  }
}
