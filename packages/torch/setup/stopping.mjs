// What a set-up that is stopped leaves behind: nothing that the next one would stumble over.
import { constants } from "node:os";
import { progress } from "./progress.mjs";

/** @type {Set<() => void>} */
const undoings = new Set();
process.on("exit", () => {
  for (const undo of undoings) undo();
});

/**
 * Calls `undo` if the process ends before the function that is returned is called.
 * @param {() => void} undo @returns {() => void}
 */
export function untilDone(undo) {
  undoings.add(undo);
  return () => void undoings.delete(undo);
}

const signals = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);

/**
 * Runs `body`, and ends the process with a sentence, and what is half done undone, where a signal stops it. The exit
 * code is that of shells. @template T @param {() => Promise<T>} body @returns {Promise<T>}
 */
export async function stoppable(body) {
  const stop = (/** @type {NodeJS.Signals} */ signal) => {
    progress.clear();
    progress.out.write("\nSet-up was stopped; the same command goes on from here\n");
    process.exit(128 + constants.signals[signal]);
  };
  for (const signal of signals) process.on(signal, stop);
  try {
    return await body();
  } finally {
    for (const signal of signals) process.off(signal, stop);
  }
}
