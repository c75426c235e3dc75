// What a run says to the user beside its figures.
import type { WarningEvent } from "../events/events.js";
import { leftOutOf } from "../ranks/leader.js";
import type { Session } from "../session/session.js";

/** Gives each warning once. */
export class Notices {
  /** What was said of images that were left out. */
  readonly #named = new Set<string>();

  constructor(readonly session: Session) {}

  /** What recorders, the session and other processes have to say since the last time. */
  *warnings(): Generator<WarningEvent> {
    const { warnings, leader } = this.session;
    for (const message of [...warnings.splice(0), ...leader.warnings.splice(0)]) yield { type: "warning", message };
  }

  /** Names the images that were left out since the last time. */
  *leftOut(): Generator<WarningEvent> {
    for (const message of leftOutOf(this.session)) {
      if (this.#named.has(message)) continue;
      this.#named.add(message);
      yield { type: "warning", message };
    }
  }
}
