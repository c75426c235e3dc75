// What a training thread is asked for, and what it answers.
import type { TrainSettings } from "../../settings/settings.js";
import type { SentError } from "../../support/error-transfer.js";
import type { TrainEvent } from "../events/events.js";
import type { RankPlace } from "../launch/rank-place.js";
import type { ResumeChanges } from "../session/resume.js";

/** What the training thread receives. */
export interface TrainRequest {
  settings: TrainSettings;
  /** Folder of the run to continue, or null for a new one. */
  resume: string | null;
  /** New values of settings for a run that is continued. */
  changes?: ResumeChanges;
  /**
   * Shared memory: 0, or why the run is to save a checkpoint and stop: the number of the signal that asked for it, or
   * -1 where none did. A second number, if there is one, counts how often the thread has met those of other processes.
   * Behind it there may be room for what the thread writes.
   */
  stop: Int32Array;
  /** The place of this process among those that train together; without one it trains alone. */
  place?: RankPlace | null;
}

/** What the training thread is started with. */
export interface ThreadRequest extends Omit<TrainRequest, "settings"> {
  /** Null for a process that takes the settings, and what to resume, of rank 0. */
  settings: TrainSettings | null;
}

/**
 * What the training thread sends. `own` names the code of a user in it, once the settings are known. In a group, what
 * has failed (`failing`) comes before the others are asked why, and null when they have answered. `done` comes last,
 * unless it failed.
 */
export type WorkerMessage =
  | { event: TrainEvent }
  | { own: string[] }
  | { failing: SentError | null }
  | { failure: SentError }
  | { done: true };
