// How fast a run is, and how long it still takes.
import type { Session } from "../session/session.js";

/**
 * Rate over a window of the last steps, so that it follows changes of image size. Time spent waiting for data counts.
 */
export class SpeedMeter {
  readonly #window: { images: number; at: number }[] = [];

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
    if (this.#window.length > this.size) this.#window.shift();
  }

  /** Images per second; 0 until a step has ended. */
  get perSecond(): number {
    const [first, ...rest] = this.#window;
    if (rest.length === 0) return 0;
    const seconds = (rest[rest.length - 1].at - first.at) / 1000;
    return seconds > 0 ? rest.reduce((sum, { images }) => sum + images, 0) / seconds : 0;
  }
}

/**
 * Seconds until a run ends, at the speed of its last steps and the length of its last evaluation.
 * @param steps that are left, of `images` images each
 */
export function secondsLeft(
  { stepsPerEpoch, settings }: Pick<Session, "stepsPerEpoch" | "settings">,
  steps: number,
  { images, perSecond, evaluation }: { images: number; perSecond: number; evaluation: number },
): number {
  const evaluations = Math.ceil(steps / (stepsPerEpoch * settings.evalInterval));
  return (steps * images) / perSecond + evaluations * evaluation;
}
