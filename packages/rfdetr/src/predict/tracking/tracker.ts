// Follows objects through the frames of a video: ByteTrack. No import of Node.

import type { Detection } from "../../model/types.js";
import { detectionList } from "../../pictures/detection-list.js";
import { checkArgument, checkOptions, count, countOrZero, type OptionKinds, share } from "../../support/options.js";
import type { ImageInput } from "../inputs/image-input.js";
import type { SourcePrediction } from "../predictions.js";
import { cornersIou } from "../tiles.js";
import { bestPairs } from "./best-pairs.js";

/** How objects are followed. */
export interface TrackOptions {
  /** Detections with at least this score are matched first; default 0.6. Those below can only continue a track. */
  highScore?: number;
  /** Least score of a detection that begins a track; default 0.7. */
  startScore?: number;
  /** Least intersection over union of a detection and the place where its track is expected; default 0.1. */
  iou?: number;
  /** Frames in a row after which a track has a number; default 2. */
  framesToConfirm?: number;
  /** Frames for which a track that is not seen is kept; default 30. */
  framesToKeep?: number;
}

const trackOptions: OptionKinds<TrackOptions> = {
  highScore: share,
  startScore: share,
  iou: share,
  framesToConfirm: count,
  framesToKeep: countOrZero,
};

/** A detection, and the track that it belongs to. */
export interface TrackedDetection extends Detection {
  /** Number of the track, from 0; null for a detection of no track, or of one that is not confirmed yet. */
  trackId: number | null;
}

type Box = readonly [number, number, number, number];

/** Variance of a measured edge, and of what a frame adds to edges and speeds, in pixels. */
const measured = 0.1;
const drift = 0.01;

/**
 * An object on its way: a Kalman filter of constant speed for each edge of its box. Noise does not join the edges, so
 * that all four have the same covariance.
 */
class Track {
  id: number | null = null;
  /** Frames in a row in which it was seen. */
  hits = 1;
  /** Frames since it was seen. */
  missed = 0;
  readonly #edges: number[];
  readonly #speeds = [0, 0, 0, 0];
  #variance = { edge: 1, both: 0, speed: 1 };

  constructor(box: Box) {
    this.#edges = [...box];
  }

  /** Where it is expected. */
  get box(): readonly number[] {
    return this.#edges;
  }

  /** Goes on to the next frame. */
  predict(): void {
    this.#speeds.forEach((speed, i) => {
      this.#edges[i] += speed;
    });
    const { edge, both, speed } = this.#variance;
    this.#variance = { edge: edge + 2 * both + speed + drift, both: both + speed, speed: speed + drift };
    if (this.missed > 0) this.hits = 0;
    this.missed++;
  }

  /** Takes what was seen of it. */
  update(box: Box): void {
    const { edge, both, speed } = this.#variance;
    const [place, pace] = [edge / (edge + measured), both / (edge + measured)];
    box.forEach((seen, i) => {
      const error = seen - this.#edges[i];
      this.#edges[i] += place * error;
      this.#speeds[i] += pace * error;
    });
    this.#variance = { edge: (1 - place) * edge, both: (1 - place) * both, speed: speed - pace * both };
    this.missed = 0;
    this.hits++;
  }
}

/**
 * Follows objects from frame to frame: ByteTrack (Zhang et al. 2022, arXiv:2110.06864), with the numbers of
 * `trackers.ByteTrackTracker` 2.6.1. Boxes are matched by their places alone, whatever their class.
 * @example
 * import { RFDETR, Tracker } from "rfdetr";
 * const tracker = new Tracker();
 * for await (const { detections } of detector.predict(pictures, { threshold: 0.1 }))
 *   for (const { trackId, className, box } of tracker.update(detections)) console.log(trackId, className, box);
 */
export class Tracker {
  readonly #options: Required<TrackOptions>;
  #tracks: Track[] = [];
  #next = 0;

  /** @throws UsageError for a wrong option */
  constructor(options: TrackOptions = {}) {
    checkOptions("Tracker", options, trackOptions);
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    this.#options = { highScore: 0.6, startScore: 0.7, iou: 0.1, framesToConfirm: 2, framesToKeep: 30, ...given };
  }

  /**
   * Takes the next frame.
   * @param detections of the frame; found with a low threshold such as 0.1, so that weak ones can continue a track
   * @returns the same detections in their order, with the numbers of their tracks
   */
  update(detections: readonly Detection[]): TrackedDetection[] {
    checkArgument("detections", detections, detectionList);
    const { highScore, startScore, framesToConfirm, framesToKeep } = this.#options;
    const numbers = new Map<Detection, number | null>();
    for (const track of this.#tracks) track.predict();
    const high = detections.filter(({ score }) => score >= highScore);
    const low = detections.filter(({ score }) => score < highScore);
    const first = this.#match(this.#tracks, high, numbers);
    this.#match(first.tracks, low, numbers);
    const begun = first.detections.filter(({ score }) => score >= startScore).map(({ box }) => new Track(box));
    this.#tracks = [...this.#tracks, ...begun].filter(
      ({ id, hits, missed }) => missed === 0 || (missed <= framesToKeep && (id !== null || hits >= framesToConfirm)),
    );
    return detections.map((detection) => ({ ...detection, trackId: numbers.get(detection) ?? null }));
  }

  /** Joins tracks and detections by the greatest sum of overlaps. @returns those that are left */
  #match(
    tracks: readonly Track[],
    detections: readonly Detection[],
    numbers: Map<Detection, number | null>,
  ): { tracks: Track[]; detections: Detection[] } {
    const overlaps = tracks.map((track) => detections.map(({ box }) => Math.fround(cornersIou(track.box, box))));
    const left = { tracks: [] as Track[], detections: new Set(detections) };
    const least = Math.fround(this.#options.iou);
    for (const [row, column] of bestPairs(overlaps).entries()) {
      const track = tracks[row];
      if (column < 0 || overlaps[row][column] < least) {
        left.tracks.push(track);
        continue;
      }
      const detection = detections[column];
      track.update(detection.box);
      if (track.id === null && track.hits >= this.#options.framesToConfirm) track.id = this.#next++;
      numbers.set(detection, track.id);
      left.detections.delete(detection);
    }
    return { tracks: left.tracks, detections: [...left.detections] };
  }
}

/**
 * Follows objects through predictions for the frames of a video, in their order.
 * @param predictions found with a low threshold such as 0.1, so that weak detections can continue a track
 * @example
 * import { RFDETR, track } from "rfdetr";
 * for await (const { source, detections } of track(detector.predict(pictures, { threshold: 0.1 })))
 *   console.log(source, detections.map(({ trackId, className }) => `${className} ${trackId}`));
 */
export async function* track<Source extends ImageInput>(
  predictions: AsyncIterable<SourcePrediction<Source>> | Iterable<SourcePrediction<Source>>,
  options: TrackOptions = {},
): AsyncGenerator<Omit<SourcePrediction<Source>, "detections"> & { detections: TrackedDetection[] }> {
  const tracker = new Tracker(options);
  for await (const frame of predictions) yield { ...frame, detections: tracker.update(frame.detections) };
}
