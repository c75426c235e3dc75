// Videos, cameras and streams as frames, read by ffmpeg.
import { existsSync } from "node:fs";
import type { Readable } from "node:stream";
import { readImageHeader } from "../../data/images/image-header.js";
import type { RawImage } from "../../pictures/picture.js";
import { UsageError, VideoError } from "../../support/errors.js";
import { absence } from "../../support/files/near-path.js";
import { checkOptions, count, flag, type OptionKind } from "../../support/options.js";
import { everyFrame, type Ffmpeg, startFfmpeg } from "./ffmpeg.js";
import { type FrameNote, frameNotes, newest, ppmPictures } from "./frame-stream.js";
import { inputArguments, isLive, isVideoFile, shownVideo } from "./video-name.js";

/** Which frames of a video are read. */
export interface VideoOptions {
  /** Reads every n-th frame; default 1: all. */
  every?: number;
  /** Seconds of the video at which reading begins; default: its beginning. Not for cameras and streams. */
  start?: number;
  /** Seconds of the video, or since a camera was opened, at which reading ends; default: its end. */
  end?: number;
  /** Whether frames are turned as the video says; default true. */
  autoOrient?: boolean;
}

/** A frame of a video: RGB pixels, upright unless `autoOrient` is false. */
export interface VideoFrame extends RawImage {
  channels: 3;
  /** Number of the frame, from 0 at the first after `start`. It counts frames that `every` passes over. */
  frame: number;
  /** Its time in the video in seconds; null where the video has none. */
  seconds: number | null;
}

const seconds: OptionKind = {
  takes: "number of seconds, 0 or more",
  fits: (value) => typeof value === "number" && value >= 0 && value < Infinity,
};
const videoOptions = { every: count, start: seconds, end: seconds, autoOrient: flag };

/**
 * The frames of a video, read by the ffmpeg on the PATH while they are iterated: see {@link video}. Iterating again
 * reads again.
 */
export class Video implements AsyncIterable<VideoFrame> {
  /** Whether this is a camera or a stream: frames that come while others are looked at are dropped. */
  readonly isLive: boolean;

  constructor(
    /** Path, address or camera. */
    readonly name: string,
    readonly options: VideoOptions,
  ) {
    this.isLive = isLive(name);
  }

  [Symbol.asyncIterator](): AsyncGenerator<VideoFrame> {
    const stop = new AbortController();
    const frames = this.#read(stop.signal);
    // A generator that waits for a frame would answer `return` only after that: a camera may never send one.
    const end = frames.return.bind(frames);
    frames.return = (value) => {
      stop.abort();
      return end(value);
    };
    return frames;
  }

  async *#read(signal: AbortSignal): AsyncGenerator<VideoFrame> {
    const { every = 1, start = 0 } = this.options;
    if (isVideoFile(this.name) && !existsSync(this.name))
      throw new VideoError(`Expected a video but ${this.name} ${absence(this.name)}`);
    const picture = isVideoFile(this.name) ? pictureFormat(this.name) : null;
    if (picture !== null)
      throw new VideoError(`Expected a video but ${this.name} is a ${picture} picture: give it the extension of one`);
    const args = this.#arguments(await everyFrame(`read ${shownVideo(this.name)}`));
    if (signal.aborted) return;
    const ffmpeg = startFfmpeg(args, ["ignore", "pipe", ["pipe"]]);
    const kill = (): void => void ffmpeg.child.kill("SIGKILL");
    signal.addEventListener("abort", kill, { once: true });
    const last: FrameTime = { frame: -1, seconds: null };
    /** The last frame before ffmpeg complained. */
    let good = { ...last };
    try {
      const frames = this.#frames(ffmpeg);
      for await (const { time, changed, picture, number } of this.isLive ? newest(frames) : frames) {
        if (changed) throw this.#changed(last);
        Object.assign(last, { frame: number * every, seconds: time === null ? null : start + time });
        if (ffmpeg.complaint() === null) good = { ...last };
        yield { ...picture, channels: 3, ...last };
      }
      const code = await ffmpeg.ended;
      if (signal.aborted) return;
      if (code !== 0 || ffmpeg.complaint() !== null) throw this.#broken(ffmpeg, good, last);
      if (last.frame < 0) throw this.#empty();
    } finally {
      kill();
    }
  }

  /** Pictures with their times, as ffmpeg gives them. */
  async *#frames({ child }: Ffmpeg): AsyncGenerator<FrameNote & { picture: RawImage; number: number }> {
    const notes = frameNotes(child.stdio[3] as Readable);
    let number = 0;
    let changed = false;
    for await (const picture of ppmPictures(child.stdout as Readable)) {
      const note = (await notes.next()).value as FrameNote | undefined;
      // Stays so, since of a camera the first picture after the change may be passed over.
      changed ||= note?.changed ?? false;
      yield { picture, time: note?.time ?? null, changed, number: number++ };
    }
  }

  #arguments(passthrough: readonly string[]): string[] {
    const { every = 1, start = 0, end, autoOrient = true } = this.options;
    const select = every === 1 ? "" : `select=not(mod(n\\,${every})),`;
    return [
      "-nostdin",
      ...(autoOrient ? [] : ["-noautorotate"]),
      ...(start === 0 ? [] : ["-ss", String(start)]),
      ...(end === undefined ? [] : ["-t", String(end - start)]),
      ...inputArguments(this.name),
      // Of the video streams, not the picture on the cover. Times that come twice would be a fault for the output, so
      // that its frames are numbered instead.
      ...["-map", "0:V:0"],
      ...["-vf", `${select}${printTimes},settb=1/1000,setpts=N`],
      ...[...passthrough, "-enc_time_base", "1:1000"],
      ...["-c:v", "ppm", "-pix_fmt", "rgb24", "-f", "image2pipe", "pipe:1"],
    ];
  }

  /** ffmpeg would stretch the pictures that follow to the size of the first. */
  #changed(last: FrameTime): VideoError {
    const name = shownVideo(this.name);
    return new VideoError(
      `Expected pictures of one size and format in ${name} but they change after ${shownTime(last)}: cut it there, or ` +
        "make them alike first, such as with ffmpeg -i IN -vf scale=1280:720 OUT.mp4",
    );
  }

  /** No frame is between the times, or there is none at all. */
  #empty(): VideoError {
    const { start = 0, end } = this.options;
    const where = end === undefined ? ` from ${start} s on` : ` from ${start} to ${end} s`;
    const times = start === 0 && end === undefined ? "" : where;
    return new VideoError(
      `Expected frames in ${shownVideo(this.name)}${times} but there are none` +
        (start === 0 ? "" : ": it ends before, or has no frame there"),
    );
  }

  #broken(ffmpeg: Ffmpeg, good: FrameTime, last: FrameTime): VideoError {
    const name = shownVideo(this.name);
    const said = ffmpeg.complaint() ?? "ffmpeg ended without a word";
    const reason = said.replace(`file:${this.name}: `, "").replaceAll(this.name, name);
    if (last.frame < 0)
      return new VideoError(`Expected a video that can be read in ${name} but ffmpeg says: ${reason}`);
    const where =
      last.frame - good.frame <= ahead * (this.options.every ?? 1)
        ? `breaks off after ${shownTime(last)}`
        : `is damaged near ${shownTime(good)}`;
    return new VideoError(`Expected a whole video in ${name} but it ${where}: ${reason}`);
  }
}

/** The format of a picture whose name is that of a video; null for any other file. */
function pictureFormat(file: string): string | null {
  try {
    return readImageHeader(file).format;
  } catch {
    return null;
  }
}

/**
 * Filters of ffmpeg that print a line for each frame to the descriptor 3. They print only of frames with the entry that
 * they look for, so that it is added before.
 */
const printTimes = "metadata=add:key=rfdetr:value=1,metadata=print:key=rfdetr:file=pipe\\\\:3:direct=1";

interface FrameTime {
  frame: number;
  seconds: number | null;
}

/** Frames that may be between the part of ffmpeg that finds a fault and its output. */
const ahead = 64;

const shownTime = ({ frame, seconds }: FrameTime): string =>
  `frame ${Math.max(0, frame)}${seconds === null ? "" : ` (${seconds.toFixed(2)} s)`}`;

/**
 * The frames of a video file, a camera or a stream, as images for `predict`. They are read by ffmpeg, which must be
 * installed, and no faster than they are used. Of a camera (`camera:0`, `/dev/video0`) or a stream (`rtsp://…`) the
 * newest frame is taken, and those that came in the meantime are dropped.
 * @param name path, address or camera; a server that takes names from strangers must check them first
 * @throws UsageError for a wrong option; iterating throws a VideoError where there is no ffmpeg, and, after its good
 * frames, where the video is broken
 * @example
 * import { RFDETR, track, video } from "rfdetr";
 * const detector = await RFDETR.load("best.safetensors");
 * const frames = video("traffic.mp4", { every: 2, start: 10, end: 60 });
 * for await (const { source, detections } of track(detector.predict(frames, { threshold: 0.1 })))
 *   console.log(source.frame, source.seconds, detections.length);
 */
export function video(name: string, options: VideoOptions = {}): Video {
  if (typeof name !== "string" || name === "")
    throw new UsageError(`Expected the name of a video for video but received ${String(name) || "an empty text"}`);
  checkOptions("video", options, videoOptions);
  const { start = 0, end } = options;
  if (start > 0 && isLive(name))
    throw new UsageError(
      `Expected no start for ${shownVideo(name)}, which begins when it is opened, but received ${start}`,
    );
  if (end !== undefined && end <= start)
    throw new UsageError(`Expected an end after the start (${start} s) but received ${end} s`);
  return new Video(name, options);
}
