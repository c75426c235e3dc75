// Pictures as a video file, written by ffmpeg.
import { execFile } from "node:child_process";
import { once } from "node:events";
import type { Writable } from "node:stream";
import { promisify } from "node:util";
import type { RawImage } from "../../pictures/picture.js";
import { VideoError } from "../../support/errors.js";
import { everyFrame, type Ffmpeg, startFfmpeg } from "./ffmpeg.js";
import { matroskaHeader, pictureHeader } from "./matroska.js";

/** Seconds between two pictures that have no times. */
const usualStep = 0.04;

/** Writes pictures of one size to a video file, each at its own time. No picture waits in memory but the last. */
export class VideoWriter {
  readonly #ffmpeg: Ffmpeg;
  readonly #name: string;
  #first: number | null = null;
  #last = -1;
  #ended = false;

  private constructor(ffmpeg: Ffmpeg, name: string) {
    this.#ffmpeg = ffmpeg;
    this.#name = name;
    ffmpeg.ended.then(() => {
      this.#ended = true;
    });
    // A broken pipe shows in `ended`, with what ffmpeg says.
    ffmpeg.child.stdin?.on("error", () => {});
  }

  /**
   * Begins a file, which may not exist.
   * @param path of a file in the format MP4
   * @param name what errors call it
   * @throws VideoError if there is no ffmpeg
   */
  static async create(path: string, name = path): Promise<VideoWriter> {
    const passthrough = await everyFrame(`write ${name}`);
    const { stdout: encoders } = await promisify(execFile)("ffmpeg", ["-hide_banner", "-encoders"]);
    // Every ffmpeg has the other one.
    const encoder = /\blibx264\b/.test(encoders)
      ? ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20"]
      : ["-c:v", "mpeg4", "-q:v", "3"];
    const args = [
      ...["-f", "matroska", "-i", "pipe:0", "-an", ...passthrough, "-enc_time_base", "1:1000"],
      // Both sides must be even for the colours that every player knows.
      ...["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", ...encoder],
      ...["-movflags", "+faststart", "-f", "mp4", "-n", `file:${path}`],
    ];
    return new VideoWriter(startFfmpeg(args, ["pipe", "ignore"]), name);
  }

  /**
   * Writes a picture, and waits until ffmpeg has taken it.
   * @param seconds its time; the first picture is at the beginning of the file
   * @throws VideoError if the file cannot be written
   */
  async write({ data, width, height }: RawImage, seconds: number | null): Promise<void> {
    if (this.#first === null) {
      this.#first = seconds ?? 0;
      await this.#send(matroskaHeader(width, height));
    }
    const time = seconds === null ? this.#last + usualStep * 1000 : (seconds - this.#first) * 1000;
    this.#last = Math.max(this.#last + 1, Math.round(time));
    await this.#send(pictureHeader(this.#last, data.length));
    await this.#send(data);
  }

  /** Ends the file. @throws VideoError if it could not be written */
  async finish(): Promise<void> {
    this.#ffmpeg.child.stdin?.end();
    if ((await this.#ffmpeg.ended) !== 0) throw this.#failure();
  }

  /** Gives the file up. */
  async abandon(): Promise<void> {
    this.#ffmpeg.child.kill("SIGKILL");
    await this.#ffmpeg.ended;
  }

  async #send(bytes: Uint8Array): Promise<void> {
    const pipe = this.#ffmpeg.child.stdin as Writable;
    if (this.#ended) throw this.#failure();
    if (pipe.write(bytes)) return;
    await Promise.race([once(pipe, "drain"), this.#ffmpeg.ended]).catch(() => this.#ffmpeg.ended);
    if (this.#ended) throw this.#failure();
  }

  #failure(): VideoError {
    const reason = this.#ffmpeg.complaint() ?? "ffmpeg ended without a word";
    return new VideoError(`Expected a video that can be written to ${this.#name} but ffmpeg says: ${reason}`);
  }
}
