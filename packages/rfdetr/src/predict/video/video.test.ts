import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UsageError, VideoError } from "../../support/errors.js";
import { type FakeVideo, fakeFfmpeg, fakeVideo, hasFfmpeg, realVideo } from "../../testing/fake-ffmpeg.js";
import { Predictions } from "../predictions.js";
import { type VideoFrame, type VideoOptions, video } from "./video.js";
import { fileNameOf, inputArguments, isVideoName, shownVideo } from "./video-name.js";
import { VideoWriter } from "./video-writer.js";

const folder = mkdtempSync(join(tmpdir(), "video-"));
const path = process.env.PATH;
const fake = fakeFfmpeg(join(folder, "bin"));
afterAll(() => rmSync(folder, { recursive: true }));

async function read(name: string, options: VideoOptions = {}) {
  const frames: VideoFrame[] = [];
  let error: Error | null = null;
  try {
    for await (const frame of video(name, options)) frames.push(frame);
  } catch (thrown) {
    error = thrown as Error;
  }
  return { frames, numbers: frames.map(({ frame }) => frame), times: frames.map(({ seconds }) => seconds), error };
}

const kinds = [["the stand-in for ffmpeg", fake, fakeVideo] as const];
describe.each(hasFfmpeg() ? [...kinds, ["ffmpeg", path, realVideo] as const] : kinds)(
  "a video, by %s",
  (_, where, make) => {
    const times = [0, 0.1, 0.2, 0.5, 0.6, 0.7, 0.8, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2];
    const named = (name: string, more: Partial<FakeVideo> = {}): string => {
      const file = join(folder, name);
      if (!existsSync(file)) make(file, { width: 63, height: 48, times, ...more });
      return file;
    };
    beforeAll(() => {
      process.env.PATH = where;
      for (const name of ["even.mp4", "a.mp4", "turned.mp4", "torn.mp4", "sizes.mp4", "copy.mp4"])
        rmSync(join(folder, name), { force: true });
    });
    afterAll(() => {
      process.env.PATH = path;
    });

    it("has frames with numbers and the times that they have in the video", async () => {
      const { frames, numbers, times: found, error } = await read(named("a.mp4", { width: 64 }));
      expect(error).toBe(null);
      expect(numbers).toEqual(times.map((_, i) => i));
      for (const [i, time] of found.entries()) expect(time).toBeCloseTo(times[i], 2);
      const [{ width, height, channels, data }] = frames;
      expect({ width, height, channels, bytes: data.length }).toEqual({
        width: 64,
        height: 48,
        channels: 3,
        bytes: 64 * 48 * 3,
      });
      expect(frames[0].data).not.toEqual(frames[9].data);
    });

    it("is read from a time to a time, and every n-th frame", async () => {
      const { numbers, times: found } = await read(named("a.mp4"), { start: 0.45, end: 1.65, every: 3 });
      expect(numbers).toEqual([0, 3, 6]);
      for (const [i, time] of [0.5, 0.8, 1.4].entries()) expect(found[i]).toBeCloseTo(time, 1);
    });

    it("is upright unless that is switched off", async () => {
      const sizes = async (options: VideoOptions) =>
        (await read(named("turned.mp4", { width: 64, turned: true }), options)).frames.map(({ width, height }) => [
          width,
          height,
        ]);
      expect((await sizes({}))[0]).toEqual([48, 64]);
      expect((await sizes({ autoOrient: false }))[0]).toEqual([64, 48]);
    });

    it("gives its good frames and says where it breaks", async () => {
      const { frames, error } = await read(named("torn.mp4", { width: 64, breaksAt: 10 }));
      expect(frames.length).toBeGreaterThan(2);
      expect(frames.length).toBeLessThan(times.length);
      expect(error).toBeInstanceOf(VideoError);
      expect(error?.message).toMatch(
        new RegExp(
          `whole video in .*torn.mp4 but it breaks off after frame ${frames.length - 1} \\(\\d\\.\\d\\d s\\): Invalid NAL`,
        ),
      );
    });

    it("whose pictures change their size gives those before, and says so", async () => {
      const { frames, error } = await read(named("sizes.mp4", { width: 64, changesAt: 9 }));
      expect(new Set(frames.map(({ width, height }) => `${width}×${height}`))).toEqual(new Set(["64×48"]));
      // ffmpeg may lose the last frame of a stream that others follow.
      expect([8, 9]).toContain(frames.length);
      expect(error).toBeInstanceOf(VideoError);
      expect(error?.message).toMatch(
        new RegExp(
          `^Expected pictures of one size and format in .*sizes.mp4 but they change after frame ${frames.length - 1} \\(\\d\\.\\d\\d s\\): cut it there`,
        ),
      );
    });

    it("without a frame between the times that are asked for says so", async () => {
      const message = async (options: VideoOptions) =>
        (await read(named("a.mp4", { width: 64 }), options)).error?.message;
      expect(await message({ start: 100 })).toMatch(
        /^Expected frames in .*a\.mp4 from 100 s on but there are none: it ends before, or has no frame there$/,
      );
      expect(await message({ start: 100, end: 101 })).toMatch(/a\.mp4 from 100 to 101 s but there are none: it ends/);
    });

    it("is named where it is missing or is none", async () => {
      writeFileSync(join(folder, "text.mp4"), "hello");
      expect((await read(join(folder, "text.mp4"))).error?.message).toMatch(
        /text\.mp4 but ffmpeg says: (Invalid data|moov atom)/,
      );
      expect((await read(join(folder, "b.mp4"))).error?.message).toMatch(
        /Expected a video but .*b\.mp4 does not exist/,
      );
      // The bytes of a PNG picture of one pixel begin so.
      const png = Buffer.from(
        "89504e470d0a1a0a0000000d49484452000000010000000108020000009077 53de".replace(" ", ""),
        "hex",
      );
      writeFileSync(join(folder, "photo.mp4"), png);
      expect((await read(join(folder, "photo.mp4"))).error?.message).toMatch(/photo\.mp4 is a PNG picture/);
    });

    it("is written with uneven times, sizes made even, and read again", async () => {
      const copy = join(folder, "copy.mp4");
      const writer = await VideoWriter.create(copy);
      const data = new Uint8Array(63 * 47 * 3).fill(200);
      for (const seconds of [5, 5.1, 5.45, 5.5, null])
        await writer.write({ data, width: 63, height: 47, channels: 3 }, seconds);
      await writer.finish();
      const { frames, times: found, error } = await read(copy);
      expect(error).toBe(null);
      expect(frames[0]).toMatchObject({ width: 64, height: 48 });
      for (const [i, time] of [0, 0.1, 0.45, 0.5, 0.54].entries()) expect(found[i]).toBeCloseTo(time, 2);

      const nowhere = await VideoWriter.create(join(folder, "none", "a.mp4"), "a.mp4");
      await expect(
        (async () => {
          for (;;) await nowhere.write({ data, width: 63, height: 47, channels: 3 }, null).then(() => nowhere.finish());
        })(),
      ).rejects.toThrow(/can be written to a\.mp4 but ffmpeg says: .*no such file/i);
    });
  },
);

describe("reading a video", () => {
  const pidFile = join(folder, "pid");
  const countFile = join(folder, "count");
  const runs = (): boolean => {
    try {
      return process.kill(Number(readFileSync(pidFile, "utf8")), 0);
    } catch {
      return false;
    }
  };
  beforeAll(() => {
    Object.assign(process.env, { PATH: fake, FAKE_PID: pidFile, FAKE_COUNT: countFile });
  });
  afterAll(() => {
    process.env.PATH = path;
    for (const name of ["FAKE_PID", "FAKE_COUNT"]) delete process.env[name];
  });

  it("goes no faster than the frames are used, and ends ffmpeg when it is left", async () => {
    const long = join(folder, "long.mp4");
    fakeVideo(long, { width: 640, height: 480, times: Array.from({ length: 500 }, (_, i) => i) });
    for await (const { frame } of video(long)) {
      if (frame < 2) continue;
      await sleep(100);
      break;
    }
    expect(Number(readFileSync(countFile, "utf8"))).toBeLessThan(10);
    await expect.poll(runs).toBe(false);
  });

  it("takes the newest frame of a camera, and passes over those that came before it", async () => {
    const numbers: number[] = [];
    for await (const { frame } of video("camera:0")) {
      numbers.push(frame);
      // A file would give all frames, however long the reader takes.
      if (frame >= numbers.length || numbers.length === 40) break;
      await sleep(60);
    }
    expect(numbers.at(-1)).toBeGreaterThanOrEqual(numbers.length);
    await expect.poll(runs).toBe(false);
  });

  it("of a camera that sends nothing ends when its predictions are aborted", async () => {
    const stop = new AbortController();
    const detect = async (): Promise<never[]> => [];
    const predictions = new Predictions(video("/dev/video1"), { signal: stop.signal }, detect);
    setTimeout(() => stop.abort(new Error("enough")), 200);
    await expect(predictions[Symbol.asyncIterator]().next()).rejects.toThrow("enough");
    await expect.poll(runs).toBe(false);
    await expect((async () => await predictions)()).rejects.toThrow(UsageError);
  });

  it("says what to do where there is no ffmpeg", async () => {
    process.env.PATH = folder;
    writeFileSync(join(folder, "x.mp4"), "");
    const { error } = await read(join(folder, "x.mp4"));
    process.env.PATH = fake;
    expect(error).toMatchObject({ code: "ERR_VIDEO", hint: expect.stringContaining("Install it") });
    expect(error?.message).toMatch(/^Expected ffmpeg on the PATH, to read .*x\.mp4, but there is none$/);
  });

  it("refuses options that cannot be", () => {
    expect(() => video("a.mp4", { every: 0 })).toThrow("positive integer for every");
    expect(() => video("a.mp4", { start: 2, end: 1 })).toThrow("Expected an end after the start (2 s)");
    expect(() => video("camera:0", { start: 2 })).toThrow("Expected no start for camera:0");
  });
});

describe("names of videos", () => {
  it("are files, addresses, cameras and streams", () => {
    const names = ["a.MP4", "-a b.mkv", "https://x.org/a.webm?t=1#s", "camera:1", "/dev/video0", "rtsp://u:p@cam/live"];
    expect(names.map(isVideoName)).toEqual(names.map(() => true));
    expect(["a.jpg", "mp4", "https://x.org/a.jpg?v=b.mp4", "camera:x"].map(isVideoName)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });

  it("keep passwords out of messages, and files from leading elsewhere", () => {
    expect(shownVideo("rtsp://user:secret@cam:554/live?token=1")).toBe("rtsp://cam:554/live");
    expect(inputArguments("-a.mp4")).toEqual(["-protocol_whitelist", "file", "-i", "file:-a.mp4"]);
    expect(inputArguments("camera:2", "linux")).toEqual(["-f", "v4l2", "-i", "/dev/video2"]);
    expect(() => inputArguments("camera:2", "win32")).toThrow(VideoError);
  });

  it("name the files about them", () => {
    expect(["camera:2", "rtsp://u:p@cam/live?x=1", "rtsp://cam/", "p/a.mp4"].map(fileNameOf)).toEqual([
      ...["camera-2", "live", "cam", "p/a.mp4"],
    ]);
  });
});
