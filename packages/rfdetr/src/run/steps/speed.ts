// How fast a run is, and how long it still takes.
import type { Session } from "../session/session.js";

/** After so many steps the speed tells how long others take; after two, where these took so many seconds. */
const [enough, long] = [5, 30];

/**
 * Rate over a window of the last steps, so that it follows changes of image size. Time spent waiting for data counts.
 * The first step of a process, which starts threads and touches memory for the first time, takes several times as long
 * as others: it counts only until there is another.
 */
export class SpeedMeter {
  readonly #window: { images: number; at: number }[] = [];
  #steps = 0;

  constructor(readonly size = 30) {}

  /** Steps begin, after the start or after an evaluation, which does not count. @param at milliseconds */
  begin(at: number): void {
    const now = this.#window[this.#window.length - 1]?.at ?? at;
    for (const entry of this.#window) entry.at += at - now;
    if (this.#window.length === 0) this.#window.push({ images: 0, at });
  }

  /** Adds a step of so many images that ended at `at` milliseconds. */
  add(images: number, at: number): void {
    this.#window.push({ images, at });
    if (++this.#steps === 2 || this.#window.length > this.size) this.#window.shift();
  }

  /** Whether enough steps have been taken to say how long others take. */
  get isSteady(): boolean {
    const measured = this.#steps - 1;
    return measured >= enough || (measured >= 2 && this.#seconds >= long);
  }

  /** Of the steps in the window. */
  get #seconds(): number {
    const [first, last] = [this.#window[0], this.#window[this.#window.length - 1]];
    return first === undefined ? 0 : (last.at - first.at) / 1000;
  }

  /** Images per second; 0 until a step has ended. */
  get perSecond(): number {
    const seconds = this.#seconds;
    return seconds > 0 ? this.#window.slice(1).reduce((sum, { images }) => sum + images, 0) / seconds : 0;
  }
}

/**
 * Seconds until a run ends, at the speed of its last steps and the length of its last evaluation; infinite while the
 * speed is not known. Before the first evaluation, one is expected to take as long as so many images in training, as a
 * time budget does.
 * @param steps that are left, of `images` images each
 * @param evaluation seconds of the last one; null before the first
 */
export function secondsLeft(
  { stepsPerEpoch, settings, data }: Pick<Session, "stepsPerEpoch" | "settings" | "data">,
  steps: number,
  { images, speed, evaluation }: { images: number; speed: SpeedMeter; evaluation: number | null },
): number {
  if (!speed.isSteady) return Number.POSITIVE_INFINITY;
  const evaluations = Math.ceil(steps / (stepsPerEpoch * settings.evalInterval));
  const each = evaluation ?? data.validImages / speed.perSecond;
  const ofTest = settings.runTest && data.testImages > 0 ? data.testImages / Math.max(1, data.validImages) : 0;
  return (steps * images) / speed.perSecond + (evaluations + ofTest) * each;
}
