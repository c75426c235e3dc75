import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Detection } from "../../model/types.js";
import { Tracker, type TrackOptions, track } from "./tracker.js";

interface Golden {
  options: Record<string, number>;
  /** Of each frame: boxes and scores. */
  found: [number, number, number, number, number][][];
  /** Number of the track of each; -1 for none. */
  numbers: number[][];
}
const goldens: Golden[] = JSON.parse(readFileSync(new URL("../fixtures/bytetrack.json", import.meta.url), "utf8"));

const detection = ([x1, y1, x2, y2, score]: number[]): Detection => ({
  box: [x1, y1, x2, y2],
  score,
  classId: 0,
  className: "thing",
});
const named: Record<string, keyof TrackOptions> = {
  lost_track_buffer: "framesToKeep",
  minimum_consecutive_frames: "framesToConfirm",
  track_activation_threshold: "startScore",
  high_conf_det_threshold: "highScore",
  minimum_iou_threshold: "iou",
};

describe("objects in generated videos", () => {
  it.each(goldens)("have the tracks of trackers.ByteTrackTracker with $options", ({ options, found, numbers }) => {
    const own = Object.fromEntries(Object.entries(options).map(([name, value]) => [named[name], value]));
    const tracker = new Tracker(own);
    const tracked = found.map((frame) => tracker.update(frame.map(detection)).map(({ trackId }) => trackId ?? -1));
    expect(tracked).toEqual(numbers);
    expect(new Set(numbers.flat()).size).toBeGreaterThan(5);
  });
});

describe("a track", () => {
  const at = (x: number, score = 0.9) => [detection([x, 0, x + 20, 20, score])];

  it("has a number from its second frame, and keeps it through weak detections and frames without any", () => {
    const tracker = new Tracker();
    const frames = [at(0), at(2), at(4, 0.2), [], at(8), at(10)];
    expect(frames.map((frame) => tracker.update(frame)[0]?.trackId)).toEqual([null, 0, 0, undefined, 0, 0]);
  });

  it("is not begun by a weak detection", () => {
    const tracker = new Tracker({ startScore: 0.7 });
    expect([at(0, 0.6), at(0, 0.6), at(0, 0.6)].map((frame) => tracker.update(frame)[0].trackId)).toEqual([
      null,
      null,
      null,
    ]);
  });

  it("ends when it was not seen for too long", () => {
    const tracker = new Tracker({ framesToKeep: 1 });
    const ids = [at(0), at(0), [], [], at(0), at(0)].map((frame) => tracker.update(frame)[0]?.trackId);
    expect(ids).toEqual([null, 0, undefined, undefined, null, 1]);
  });

  it("is followed through predictions", async () => {
    const frames = [0, 1, 2].map((x) => ({ source: `${x}.jpg`, width: 100, height: 100, detections: at(x) }));
    const results = [];
    for await (const { source, detections } of track(frames)) results.push([source, detections[0].trackId]);
    expect(results).toEqual([
      ["0.jpg", null],
      ["1.jpg", 0],
      ["2.jpg", 0],
    ]);
  });
});
