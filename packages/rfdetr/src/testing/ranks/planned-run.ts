// A run for tests that goes as planned: with faults in its data, and stopped at a step.
import type { TrainEvent } from "../../run/events/events.js";
import { openTrainData } from "../../run/session/open-train-data.js";
import type { OpenTrainData } from "../../run/session/training-data.js";
import type { ThreadRequest } from "../../run/thread/train-request.js";
import { train } from "../../run/trainer.js";

/** How a run goes. */
export interface PlannedRun {
  request: Pick<ThreadRequest, "settings" | "resume" | "changes" | "place">;
  /** Micro-batches of which one box is not a number: of the step that this process reads as so manieth, from 1. */
  poisoned?: readonly { step: number; microBatch: number }[];
  /** The process of this rank is asked to stop when it reads the step. */
  stopped?: { step: number; rank: number };
  /** The process of this rank ends itself when it reads the step. */
  killed?: { step: number; rank: number };
}

/** Trains in this process. @returns the events of the run */
export async function* plannedRun({ request, ...plan }: PlannedRun): AsyncGenerator<TrainEvent> {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  yield* train({ ...request, stop }, dataOf(plan, stop));
}

function dataOf({ poisoned = [], stopped, killed }: Omit<PlannedRun, "request">, stop: Int32Array): OpenTrainData {
  let read = 0;
  return async (settings, sizes) => {
    const data = await openTrainData(settings, sizes);
    const { rank, size } = sizes.shard ?? { rank: 0, size: 1 };
    return {
      ...data,
      async *steps(epoch, from) {
        for await (const step of data.steps(epoch, from)) {
          read++;
          for (const fault of poisoned)
            if (fault.step === read && fault.microBatch % size === rank)
              step[Math.floor(fault.microBatch / size)].targets[0].boxes[0] = Number.NaN;
          if (stopped?.step === read && stopped.rank === rank) Atomics.store(stop, 0, -1);
          if (killed?.step === read && killed.rank === rank) process.kill(process.pid, "SIGKILL");
          yield step;
        }
      },
    };
  };
}
