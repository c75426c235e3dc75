// Where a run takes commands and answers them: its side of the files that `requestControl` writes.
import { randomUUID } from "node:crypto";
import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { RunDirectoryError } from "../../support/errors.js";
import { removeEmpty } from "../../support/files/atomic.js";
import { discard } from "../../support/files/scratch.js";
import { reasonOf } from "../../support/files/system-error.js";
import {
  answerFile,
  type ControlAnswer,
  type ControlRequest,
  type ControlState,
  controlFile,
  readRequest,
  stateFile,
} from "./control-files.js";

/**
 * The folder `control` of a run in progress. It belongs to the user that runs it, and nobody else may write there. What
 * an earlier process left in it is removed before the first look, and a request names the process that it is for: so no
 * old command is ever obeyed.
 */
export class ControlInbox {
  readonly session = randomUUID();
  readonly #run: string;
  readonly #owner = process.getuid?.() ?? null;

  /** @param run the folder of the run @throws RunDirectoryError when the folder cannot be made, or is not its own */
  constructor(run: string) {
    this.#run = run;
    const folder = controlFile(run);
    try {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { mode: 0o700 });
      // The file mode mask of the process may have taken more away, but never less.
      chmodSync(folder, 0o700);
    } catch (error) {
      throw new RunDirectoryError(`Commands to the run cannot be taken in ${folder}: ${reasonOf(error)}`, {
        cause: error,
      });
    }
  }

  /**
   * Takes the oldest request. @param wanted which of them; others stay
   * @returns null where there is none. What is no request to this process is removed without an answer.
   */
  take(wanted: (request: ControlRequest) => boolean = () => true): ControlRequest | null {
    for (const name of this.#requests()) {
      const path = controlFile(this.#run, name);
      const request = readRequest(path, this.#owner);
      const mine = request !== null && request.session === this.session && name === `request-${request.id}.json`;
      if (mine && !wanted(request)) continue;
      if (!claimed(path)) continue;
      if (mine) return request;
    }
    return null;
  }

  /** Answers a request. An answer that cannot be written is left out: what was done is recorded elsewhere. */
  answer({ id }: ControlRequest, answer: Omit<ControlAnswer, "session">): void {
    this.#write(answerFile(this.#run, id), { session: this.session, ...answer });
  }

  /** Tells who asks what state the run is in. */
  show(state: Omit<ControlState, "session">): void {
    this.#write(stateFile(this.#run), { session: this.session, ...state });
  }

  /**
   * Takes no commands any more, and removes the folder. Answers stay for those who still wait for them; the last of
   * them removes it.
   */
  close(): void {
    try {
      for (const name of this.#requests()) rmSync(controlFile(this.#run, name), { force: true });
      rmSync(stateFile(this.#run), { force: true });
    } catch {
      // The next process of the run removes what stays; nobody obeys it.
    }
    removeEmpty([controlFile(this.#run)]);
  }

  #requests(): string[] {
    try {
      return readdirSync(controlFile(this.#run))
        .filter((name) => name.startsWith("request-") && name.endsWith(".json"))
        .sort();
    } catch {
      return [];
    }
  }

  #write(path: string, content: object): void {
    try {
      writeFileSync(`${path}.partial`, JSON.stringify(content), { mode: 0o600 });
      renameSync(`${path}.partial`, path);
    } catch {
      discard(`${path}.partial`);
      // Nobody waits for it on a disk that is full, or in a folder that was removed.
    }
  }
}

/** Takes a request out of the reach of others. @returns false where who asked has just taken it back */
function claimed(path: string): boolean {
  try {
    renameSync(path, `${path}.partial`);
    // What is no request may be a folder.
    rmSync(`${path}.partial`, { recursive: true });
    return true;
  } catch {
    return false;
  }
}
