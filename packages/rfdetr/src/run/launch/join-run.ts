// The training thread of one process among several: it joins the others, and all train what rank 0 was asked to.
import { isDeepStrictEqual } from "node:util";
import { distributed, setNumThreads } from "@rfdetr/torch";
import { toFile } from "../../settings/resolve.js";
import type { TrainSettings } from "../../settings/settings.js";
import { ConfigError } from "../../support/errors.js";
import { resolveDevice } from "../../support/machine/device.js";
import { shown } from "../../support/shown.js";
import type { ThreadRequest, TrainRequest } from "../thread/train-request.js";
import { FailureNotices } from "./failure-notices.js";
import type { RankPlace } from "./rank-place.js";
import { gpusHere, threadsOf } from "./shares.js";

/** A process that has joined the others of its run. */
export interface JoinedRun {
  group: distributed.ProcessGroup;
  /** What this process is to train. */
  request: TrainRequest & { place: RankPlace };
  /** The error that the process ends with, in place of what was thrown; see {@link FailureNotices.explain}. */
  explain: (error: unknown) => unknown;
  /** Shows that this process gets on; see `watchThread`. */
  alive: () => void;
}

/** Settings that each process has for itself. */
const own = ["datasetDir", "device", "threads", "numWorkers"] as const satisfies (keyof TrainSettings)[];
/** Settings that only rank 0 uses. */
const ofFirst = ["outputDir", "weights", "notes", "callbacks"] as const satisfies (keyof TrainSettings)[];

/**
 * Joins the other processes of the run.
 * @param failing is called with what has failed before others are asked why, which may take longer than anybody waits,
 * and with null when they have answered
 * @throws DistributedError when they do not come, ConfigError when they were asked for something else
 */
export function joinRun(
  request: ThreadRequest & { place: RankPlace },
  failing: (error: unknown) => void = () => {},
): JoinedRun {
  const { place, settings, stop } = request;
  const threads = threadsOf(place);
  if (threads !== null) setNumThreads(threads);
  const device = resolveDevice(settings?.device ?? "auto", place);
  if (device !== "cpu") checkGpus(place);
  const group = distributed.ProcessGroup.join({ ...place, device });
  const alive = (): void => void (stop.length > 1 && Atomics.add(stop, 1, 1));
  alive();
  const notices = new FailureNotices(group, place, failing);
  const explain = (error: unknown): unknown => notices.explain(error);
  try {
    return { group, request: shared(group, request), explain, alive };
  } catch (error) {
    throw explain(error);
  }
}

/** @throws ConfigError unless each process of this machine has a GPU of its own */
function checkGpus({ localSize }: RankPlace): void {
  const gpus = gpusHere();
  if (gpus !== null && localSize > gpus)
    throw new ConfigError(`Expected a GPU for each of the ${localSize} processes on this machine but it has ${gpus}`, {
      hint: "Start fewer processes, or train on the CPU with `device` cpu",
    });
}

/** What rank 0 was asked for, with what this process has for itself. */
function shared(
  group: distributed.ProcessGroup,
  { settings, resume, changes = {}, ...mine }: ThreadRequest & { place: RankPlace },
): JoinedRun["request"] {
  const all = group.allGatherObjects({ settings, resume, changes });
  const [first] = all;
  if (first === undefined || first.settings === null)
    throw new ConfigError("Expected settings of rank 0 but it has none: start it as the one that begins the run");
  // A run that goes on has the settings it was begun with, whatever the others were told.
  if (first.resume === null)
    all.forEach((other, rank) => compare(rank, other.settings, first.settings as TrainSettings));
  const local = Object.fromEntries(own.flatMap((name) => (settings === null ? [] : [[name, settings[name]]])));
  const { datasetDir } = changes;
  return {
    ...mine,
    settings: { ...first.settings, ...local, ...(datasetDir === undefined ? {} : { datasetDir }) },
    resume: first.resume,
    changes: { ...first.changes, ...(datasetDir === undefined ? {} : { datasetDir }) },
  };
}

/** @throws ConfigError where a process was asked for other settings than rank 0 */
function compare(rank: number, theirs: TrainSettings | null, first: TrainSettings): void {
  if (theirs === null) return;
  const free: ReadonlySet<string> = new Set([...own, ...ofFirst]);
  const key = (Object.keys(first) as (keyof TrainSettings)[]).find(
    (name) => !free.has(name) && !isDeepStrictEqual(theirs[name], first[name]),
  );
  if (key === undefined) return;
  const [name] = Object.keys(toFile({ [key]: first[key] } as Partial<TrainSettings> as TrainSettings));
  throw new ConfigError(
    `Expected the same settings in all processes but ${name} is ${shown(first[key])} on rank 0 and ${shown(theirs[key])} on rank ${rank}`,
    { hint: "Start all processes with the same command" },
  );
}
