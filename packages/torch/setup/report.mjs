// What set-up says: one line a step, a bar for long ones, and one report when something is missing.
import { progress } from "./progress.mjs";

/** A step that cannot be done here: what was tried, what was found, and what to do about it. */
export class SetupError extends Error {
  /** @param {string} problem @param {{tried?: string[], remedies: string[]}} details */
  constructor(problem, { tried = [], remedies }) {
    super(
      [
        problem,
        ...(tried.length > 0 ? ["", "Tried:", ...tried.map((line) => `  - ${line}`)] : []),
        "",
        "What to do (any one):",
        ...remedies.map((line, i) => `  ${i + 1}. ${line}`),
      ].join("\n"),
    );
    this.name = "SetupError";
    this.problem = problem;
  }
}

/**
 * Whether there is no room on a disk, by the code of an error or by the last words of pip. @param {any} error
 * @returns {boolean}
 */
export const isFull = (error) =>
  error instanceof Error &&
  (/^(ENOSPC|EDQUOT)$/.test(/** @type {any} */ (error).code ?? "") ||
    /No space left on device|Disk quota exceeded/.test(error.message) ||
    isFull(error.cause));

/**
 * A fault of the disk, as set-up reports what it cannot do; anything else as it is.
 * @param {any} error @param {string} place where it happened, unless the error knows it
 */
export function explained(error, place) {
  const reasons = {
    EACCES: "permission denied",
    EPERM: "not permitted",
    EROFS: "read-only",
    ENOSPC: "the disk is full",
  };
  const reason = reasons[error.code];
  if (reason === undefined || error instanceof SetupError) return error;
  return new SetupError(`${error.path ?? place} could not be written: ${reason}`, {
    remedies: [
      "run it once as the user to whom the folder belongs; others can then use it",
      "make a checkout, or install the package, in a folder of your own",
    ],
  });
}

export const say = (/** @type {string} */ line) => progress.say(line);

const mib = (/** @type {number} */ bytes) => `${Math.round(bytes / 2 ** 20)} MiB`;

/**
 * A bar in the live line of a terminal, a line for every quarter elsewhere. @param {string} label @param {number} total
 */
export function progressBar(label, total) {
  const task = progress.begin(label);
  let quarter = 0;
  return {
    /** @param {number} done */
    update(done) {
      const share = Math.min(1, total > 0 ? done / total : 0);
      const width = 16;
      const full = Math.round(share * width);
      const bar = `[${"=".repeat(full)}${" ".repeat(width - full)}]`;
      task.update(`${bar} ${Math.floor(share * 100)} % of ${mib(total)}`);
      if (!progress.isTerminal && Math.floor(share * 4) > quarter) {
        quarter = Math.floor(share * 4);
        say(`  ${label}: ${quarter * 25} % of ${mib(total)}`);
      }
    },
    end: task.end,
  };
}
