// Keeps a run going when one of its records cannot be written.
import { RunDirectoryError } from "../../support/errors.js";
import type { Session } from "../session/session.js";
import type { Recorder } from "./recorder.js";

/**
 * A recorder of a log that may fail to write, as on a full disk: that is said once, and the run goes on. Its weights
 * matter more than its records.
 */
export function unfailing(session: Session, open: (session: Session) => Recorder): Recorder {
  let said = false;
  const attempt = <T>(body: () => T): T | undefined => {
    try {
      return body();
    } catch (error) {
      if (!(error instanceof RunDirectoryError)) throw error;
      if (!said) session.warnings.push(`${error.message}. The run goes on, and its records have gaps`);
      said = true;
      return undefined;
    }
  };
  const attemptWork = async <T>(body: () => Promise<T> | undefined): Promise<T | undefined> => {
    try {
      return await body();
    } catch (error) {
      return attempt(() => {
        throw error;
      });
    }
  };
  const inner = attempt(() => open(session));
  return {
    step: (step) => attempt(() => inner?.step?.(step)),
    rollback: (rollback) => attempt(() => inner?.rollback?.(rollback)),
    control: (control) => attempt(() => inner?.control?.(control)),
    epoch: (epoch) => attempt(() => inner?.epoch?.(epoch)),
    stopped: () => attempt(() => inner?.stopped?.()),
    test: (details) => attempt(() => inner?.test?.(details)),
    end: (summary) => attempt(() => inner?.end?.(summary)),
    draw: async () => (await attemptWork(() => inner?.draw?.())) ?? [],
    pictures: (entries) => attemptWork(() => inner?.pictures?.(entries)),
    close: () => attempt(() => inner?.close?.()),
  };
}
