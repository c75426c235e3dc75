// `rfdetr predict` for videos: lines of JSON about the frames, and the frames with boxes as a video.
import { rmSync } from "node:fs";
import type { RFDETR } from "../../detector/detector.js";
import type { BestBelow } from "../../onnx/detections.js";
import { draw } from "../../pictures/drawing/draw.js";
import { videoNames } from "../../predict/outputs/output-names.js";
import { OutputFolder } from "../../predict/outputs/outputs.js";
import { frameResult } from "../../predict/outputs/result-formats.js";
import type { PredictManyOptions } from "../../predict/predictions.js";
import { bestBelow, type KnownSelection } from "../../predict/selection.js";
import { type TrackedDetection, track } from "../../predict/tracking/tracker.js";
import { type VideoFrame, type VideoOptions, video } from "../../predict/video/video.js";
import { fileNameOf, isVideoFile, shownVideo } from "../../predict/video/video-name.js";
import { VideoWriter } from "../../predict/video/video-writer.js";
import type { StopSignal } from "../../run/control/stop-request.js";
import { expected, UsageError, VideoError } from "../../support/errors.js";
import { counted, shownPath } from "../../support/format.js";
import { lowestThreshold, thresholdFor } from "../../support/thresholds.js";
import type { Console } from "../console/console.js";
import { positiveInteger } from "../context.js";
import { Interruption } from "./interruption.js";
import { NothingFound } from "./nothing-found.js";

/** What is done with videos. */
export interface VideoTask {
  /** Folder to write to; null for a new one. */
  out: string | null;
  /** Whether files are written at all. */
  writes: boolean;
  draw: boolean;
  /** Whether the objects are followed. */
  track: boolean;
  frames: Pick<VideoOptions, "every" | "start" | "end">;
}

/** Options with thresholds as numbers. */
type KnownOptions = PredictManyOptions & Pick<KnownSelection, "threshold">;

/** What became of the videos. */
export interface VideoOutcome {
  frames: number;
  objects: number;
  /** Frames in which nothing was found. */
  nothing: NothingFound;
  /** Number of videos that could not be read, or not to their end. */
  failed: number;
  signal: StopSignal | null;
}

/** Detections below the threshold that may continue a track. */
const weakest = 0.1;

/** Which frames the command line asks for. @throws UsageError */
export function framesAsked({
  every,
  start,
  end,
}: Partial<Record<"every" | "start" | "end", unknown>>): VideoTask["frames"] {
  return {
    ...(every === undefined ? {} : { every: positiveInteger("every", every) }),
    ...(start === undefined ? {} : { start: seconds("start", start) }),
    ...(end === undefined ? {} : { end: seconds("end", end) }),
  };
}

/** @throws UsageError unless a flag has a number of seconds */
function seconds(name: string, value: unknown): number {
  if (typeof value === "number" && value >= 0) return value;
  throw new UsageError(expected("number of seconds", name, value));
}

/**
 * Plans the files for videos.
 * @throws RunDirectoryError before anything is written, if a name is in use in the folder
 */
export function openVideoOutput(names: readonly string[], task: VideoTask): VideoOutput {
  const files = names.map(fileNameOf);
  const videos = videoNames(files);
  const lines = videos.map((name) => `${name}.jsonl`);
  const planned = [...(task.draw ? videos : []), ...lines];
  const folder = task.writes ? OutputFolder.open(task.out, planned, names.filter(isVideoFile)) : null;
  return { folder, videos, lines };
}

interface VideoOutput {
  folder: OutputFolder | null;
  /** Names of the drawn videos, and of the files of lines. */
  videos: readonly string[];
  lines: readonly string[];
}

/** Predicts videos in turn. Ctrl-C ends it with what there is; a broken video is named, and the next begins. */
export async function predictVideos(
  detector: RFDETR,
  names: readonly string[],
  options: KnownOptions,
  task: VideoTask,
  { output, console }: { output: VideoOutput; console: Console },
): Promise<VideoOutcome> {
  const outcome: VideoOutcome = {
    frames: 0,
    objects: 0,
    nothing: new NothingFound("frames", options),
    failed: 0,
    signal: null,
  };
  const interruption = new Interruption();
  try {
    for (const [place, name] of names.entries()) {
      const files = new FrameFiles(output, place, task);
      const before = { ...outcome };
      let failed = false;
      try {
        await interruption.during(async () => {
          const frames = framesOf(detector, name, { ...options, signal: interruption.abort }, task);
          for await (const { source, ...found } of frames) {
            const { detections } = found;
            outcome.nothing.add(`frame ${source.frame}${names.length > 1 ? ` of ${shownVideo(name)}` : ""}`, found);
            const line = frameResult({ file: name, frame: source, ...found });
            if (console.json) console.data(line);
            await files.add(source, detections, JSON.stringify(line), detector.classNames ?? []);
            outcome.frames++;
            outcome.objects += detections.length;
            const at = source.seconds === null ? "" : `, ${source.seconds.toFixed(1)} s`;
            console.live(`${shownVideo(name)}: frame ${source.frame}${at}, ${counted(outcome.objects, "object")}`);
          }
        });
      } catch (error) {
        if (!(error instanceof VideoError)) throw error;
        failed = true;
        outcome.failed++;
        const message = error.hint === undefined ? error.message : `${error.message}. ${error.hint}`;
        // The only video: its error is that of the command.
        if (names.length === 1 && outcome.frames === 0) console.error(message);
        else console.warning(message);
      } finally {
        await files.finish();
      }
      const found = counted(outcome.objects - before.objects, "object");
      const frames = outcome.frames - before.frames;
      if (frames > 0 || !failed) console.sentence(`${shownVideo(name)}: ${found} in ${counted(frames, "frame")}`, 4);
      if (interruption.signal !== null) break;
    }
  } finally {
    interruption.close();
    outcome.signal = interruption.signal;
  }
  return outcome;
}

/** Says what was found and where it is written. */
export function concludeVideos(
  console: Console,
  { frames, objects, nothing, failed, signal }: VideoOutcome,
  folder: string | null,
  all: number,
): void {
  const where = folder === null ? "" : `, written to ${shownPath(folder)}`;
  if (frames > 0 || failed === 0)
    console.result(`${counted(objects, "object")} in ${counted(frames, "frame")}${where}`);
  // Of a video with objects, frames without any are usual.
  if (nothing.everywhere) nothing.tell(console);
  if (failed > 0 && (frames > 0 || all > 1))
    console.error(`${counted(failed, "video")} could not be read, or not to the end`);
  if (signal !== null) console.error(`stopped after ${counted(frames, "frame")}`);
}

type FramePrediction = {
  source: VideoFrame;
  detections: (TrackedDetection | Omit<TrackedDetection, "trackId">)[];
  bestBelow?: BestBelow;
};

/** The frames of a video with what is found in them, followed or not. */
async function* framesOf(
  detector: RFDETR,
  name: string,
  { threshold = 0.5, ...options }: KnownOptions,
  task: VideoTask,
): AsyncGenerator<FramePrediction> {
  const { autoOrient } = options;
  const frames = video(name, { ...task.frames, ...(autoOrient === undefined ? {} : { autoOrient }) });
  if (!task.track) {
    yield* detector.predict(frames, { ...options, threshold });
    return;
  }
  const least = thresholdFor({ threshold });
  const found = detector.predict(frames, { ...options, threshold: Math.min(lowestThreshold({ threshold }), weakest) });
  for await (const { source, detections, bestBelow: weaker } of track(found)) {
    const shown = detections.filter(({ trackId, score, className }) => trackId !== null || score > least(className));
    const below = bestBelow([...detections, ...(weaker === undefined ? [] : [weaker])], { threshold });
    yield { source, detections: shown, ...(shown.length === 0 && below !== undefined && { bestBelow: below }) };
  }
}

/** The files about one video. */
class FrameFiles {
  readonly #folder: OutputFolder | null;
  readonly #name: string;
  readonly #listing: string;
  #lines: ReturnType<OutputFolder["lines"]> | null = null;
  #drawing: { writer: VideoWriter; temporary: string } | null = null;

  constructor(
    { folder, videos, lines }: VideoOutput,
    place: number,
    readonly task: VideoTask,
  ) {
    this.#folder = folder;
    this.#name = videos[place];
    this.#listing = lines[place];
  }

  async add(
    frame: VideoFrame,
    detections: readonly (TrackedDetection | Omit<TrackedDetection, "trackId">)[],
    line: string,
    classNames: readonly string[],
  ): Promise<void> {
    if (this.#folder === null) return;
    this.#lines ??= this.#folder.lines(this.#listing);
    this.#lines.write(line);
    if (!this.task.draw) return;
    if (this.#drawing === null) {
      const temporary = this.#folder.temporary(this.#name);
      this.#drawing = { writer: await VideoWriter.create(temporary, this.#name), temporary };
    }
    // A track has a colour and a number of its own.
    const boxes = detections.map((found) =>
      "trackId" in found && found.trackId !== null
        ? { ...found, classId: found.trackId, className: `${found.className} ${found.trackId}` }
        : found,
    );
    await this.#drawing.writer.write(await draw(frame, boxes, { classNames }), frame.seconds);
  }

  /** Ends the files: what was there is kept. */
  async finish(): Promise<void> {
    this.#lines?.end();
    if (this.#drawing === null) return;
    const { writer, temporary } = this.#drawing;
    try {
      await writer.finish();
      this.#folder?.place(temporary, this.#name);
    } finally {
      rmSync(temporary, { force: true });
    }
  }
}
