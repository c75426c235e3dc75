// Frames as they come out of ffmpeg: pictures one after another on one pipe (PPM), their times on another.

import type { RawImage } from "../../pictures/picture.js";
import { VideoError } from "../../support/errors.js";

/** Longest header of a picture. */
const longestHeader = 64;

/**
 * Pictures in the binary PPM format with 8 bits, one after another, as RGB. A picture that ends too early is left out.
 * No more is read ahead than the stream does itself.
 * @throws VideoError for anything else
 */
export async function* ppmPictures(stream: AsyncIterable<Uint8Array>): AsyncGenerator<RawImage> {
  let header = "";
  let picture: RawImage | null = null;
  let filled = 0;
  for await (const chunk of stream) {
    for (let at = 0; at < chunk.length; ) {
      if (picture === null) {
        header += String.fromCharCode(chunk[at++]);
        picture = beginning(header);
        continue;
      }
      const part = chunk.subarray(at, at + picture.data.length - filled);
      picture.data.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < picture.data.length) continue;
      yield picture;
      [picture, header, filled] = [null, "", 0];
    }
  }
}

/** An empty picture of the size that a header says; null while the header is not whole. */
function beginning(header: string): RawImage | null {
  const [whole, width, height] = /^P6\s(\d+)\s(\d+)\s255\s$/.exec(header) ?? [];
  if (whole === undefined) {
    if (header.length > longestHeader || !"P6".startsWith(header.slice(0, 2)))
      throw new VideoError(`Expected pictures from ffmpeg but it sent ${JSON.stringify(header.slice(0, 16))}`);
    return null;
  }
  const sides = { width: Number(width), height: Number(height) };
  return { data: new Uint8Array(sides.width * sides.height * 3), ...sides, channels: 3 };
}

/** What is known of a frame beside its picture. */
export interface FrameNote {
  /** In seconds; null for a frame without one. */
  time: number | null;
  /** Whether ffmpeg began again with its filters, as it does where size or format of the pictures change. */
  changed: boolean;
}

/** What ffmpeg's filter `metadata` prints of the frames. */
export async function* frameNotes(stream: AsyncIterable<Uint8Array>): AsyncGenerator<FrameNote> {
  let rest = "";
  let last = -1;
  for await (const chunk of stream) {
    const lines = (rest + Buffer.from(chunk).toString("latin1")).split("\n");
    rest = lines.pop() as string;
    for (const line of lines) {
      const [, number, time] = /^frame:\s*(\d+).*pts_time:(\S+)/.exec(line) ?? [];
      if (time === undefined) continue;
      // The filter counts its frames.
      const changed = Number(number) <= last;
      last = Number(number);
      yield { time: Number.isFinite(Number(time)) ? Number(time) : null, changed };
    }
  }
}

/**
 * The newest item of a source that is read without a pause. An item that is not taken before the next one comes is
 * dropped.
 */
export async function* newest<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
  let item: { value: T } | null = null;
  let end: { error: unknown } | "done" | null = null;
  let wake = (): void => {};
  const pump = async (): Promise<void> => {
    for await (const value of source) {
      item = { value };
      wake();
    }
  };
  pump()
    .then(
      () => {
        end = "done";
      },
      (error: unknown) => {
        end = { error };
      },
    )
    .then(() => wake());
  for (;;) {
    const [now, last] = [item, end] as [typeof item, typeof end];
    item = null;
    if (now !== null) yield (now as { value: T }).value;
    else if (last === "done") return;
    else if (last !== null) throw (last as { error: unknown }).error;
    else
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  }
}
