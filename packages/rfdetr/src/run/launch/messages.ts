// What the launcher and the processes that it starts tell each other.
import type { SentError } from "../../support/error-transfer.js";
import type { StopSignal } from "../control/stop-request.js";
import type { TrainEvent } from "../events/events.js";
import type { TrainRequest } from "../thread/train-request.js";
import type { RankPlace } from "./rank-place.js";

/** What a process is to train. */
export type RankRequest = Omit<TrainRequest, "stop"> & { place: RankPlace };

/** To a process: begin, or save and end. */
export type ToRank = { begin: RankRequest } | { stop: StopSignal | null };

/**
 * From a process: an event of rank 0, a warning of any, a signal that it got, the path of what it writes (null when
 * that is written), its failure, or that it is done.
 */
export type FromRank =
  | { event: TrainEvent }
  | { signal: StopSignal }
  | { saving: string | null }
  | { failure: SentError }
  | { done: true };
