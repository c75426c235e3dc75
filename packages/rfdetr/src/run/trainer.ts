// Trains a run in this thread, as rank 0 or as one of the others, and yields its events.
import { InternalError } from "../support/errors.js";
import type { DoneEvent, TrainEvent } from "./events/events.js";
import { RunDirectory } from "./files/run-directory.js";
import { logged } from "./files/run-log.js";
import { joinRun } from "./launch/join-run.js";
import { follow } from "./ranks/follower.js";
import { Leader } from "./ranks/leader.js";
import { Ranks } from "./ranks/ranks.js";
import { drawPictures } from "./recorders/draw-pictures.js";
import { openRecorders } from "./recorders/open-recorders.js";
import { endedRun } from "./session/ended-run.js";
import { measurementsBefore, prepareRun } from "./session/prepare.js";
import type { Session } from "./session/session.js";
import type { OpenTrainData } from "./session/training-data.js";
import type { ThreadRequest, TrainRequest } from "./thread/train-request.js";
import { TrainingLoop } from "./training-loop.js";

/**
 * Trains in this thread. Ends with a `done` event. Of several processes, rank 0 has the events; the others train
 * along until it lets them go, and warn of what they wait for.
 * @param failing see {@link joinRun}
 * @throws whatever the run failed with; the last checkpoint and the best weights stay as they are
 */
export async function* train(
  asked: ThreadRequest,
  openData: OpenTrainData,
  failing: (error: unknown) => void = () => {},
): AsyncGenerator<TrainEvent, void> {
  const { place = null } = asked;
  const joined = place === null ? null : joinRun({ ...asked, place }, failing);
  const request = joined?.request ?? (asked as TrainRequest);
  const ranks = new Ranks(joined);
  if (ranks.rank > 0) return yield* follow(ranks, request, openData);
  const leader = new Leader(ranks, request.stop);
  let ended = false;
  try {
    let done: DoneEvent | null = null;
    for await (const event of lead(request, openData, leader)) {
      if (event.type === "done") done = event;
      yield event;
    }
    ended = true;
    leader.end(done);
  } catch (error) {
    ended = true;
    throw ranks.explain(error);
  } finally {
    // Who reads the events may leave before their end.
    if (!ended) ranks.explain(new InternalError("The events of the run are not read any more"));
  }
}

async function* lead(request: TrainRequest, openData: OpenTrainData, leader: Leader): AsyncGenerator<TrainEvent, void> {
  const directory = request.resume === null ? null : RunDirectory.open(request.resume);
  try {
    const ended = directory === null ? null : endedRun(directory, request);
    if (ended !== null) return yield ended;
    if (directory === null) for (const what of measurementsBefore(request.settings)) yield { type: "preparing", what };
    yield* trainSession(await prepareRun(request, directory, openData, leader), request.stop);
  } finally {
    directory?.release();
  }
}

async function* trainSession(session: Session, stop: Int32Array): AsyncGenerator<TrainEvent, void> {
  const { leader } = session;
  try {
    const loop = new TrainingLoop(session, openRecorders(session), () => Atomics.load(stop, 0) !== 0);
    try {
      yield* logged(session.directory, loop.run(), (error) => loop.fail(leader.ranks.explain(error)));
    } finally {
      await drawPictures(loop.recorders);
      loop.close();
    }
  } finally {
    session.directory.release();
    await session.data.close();
  }
}
