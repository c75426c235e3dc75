// Why `rfdetr predict` reports nothing: the best score that was not above its threshold.
import type { BestBelow } from "../../onnx/detections.js";
import type { KnownSelection } from "../../predict/selection.js";
import type { ImagePrediction } from "../../predict/types.js";
import { grouped, shellWord } from "../../support/format.js";
import type { Console } from "../console/console.js";

/** Scores below this are noise: no threshold makes use of them. */
const leastUseful = 0.05;

/** Counts the images, or the frames of videos, in which nothing is found. */
export class NothingFound {
  #all = 0;
  #empty = 0;
  #best: { below: BestBelow; name: string } | null = null;

  /** @param many what is counted: `images` or `frames` */
  constructor(
    readonly many: string,
    readonly selection: Pick<KnownSelection, "classes" | "threshold">,
  ) {}

  /** Whether nothing was found at all. */
  get everywhere(): boolean {
    return this.#all > 0 && this.#empty === this.#all;
  }

  /** Adds what was found in an image. @param name of the image */
  add(
    name: string,
    { detections, bestBelow }: Pick<ImagePrediction, "bestBelow"> & { detections: readonly unknown[] },
  ) {
    this.#all++;
    if (detections.length > 0) return;
    this.#empty++;
    if (bestBelow !== undefined && (this.#best === null || bestBelow.score > this.#best.below.score))
      this.#best = { below: bestBelow, name };
  }

  /** Prints it with the results, or on stderr where stdout has them as data. */
  tell(console: Console): void {
    const why = this.inWords();
    if (why === null) return;
    if (console.json) console.fact(why);
    else console.sentence(why);
  }

  /** Says it in a sentence; null where something was found in every image. */
  inWords(): string | null {
    if (this.#empty === 0) return null;
    const { classes, threshold: given } = this.selection;
    const wanted = classes === undefined ? "object" : classes.join(" or ");
    const empty = this.everywhere ? "any" : grouped(this.#empty);
    const where = this.#all === 1 ? "" : ` in ${empty} of ${grouped(this.#all)} ${this.many}`;
    if (this.#best === null) return `the model sees no ${wanted} at any score${where}`;
    const { below, name } = this.#best;
    const { score, className, threshold } = below;
    const byClass = typeof given === "object";
    const limit = Number(threshold.toFixed(4));
    const about = [
      className,
      ...(this.#all === 1 ? [] : [`in ${name}`]),
      ...(byClass ? [`whose threshold is ${limit}`] : []),
    ];
    const best = `the best ${this.everywhere ? "is" : "there is"} ${shownBelow(score, limit)} (${about.join(", ")})`;
    const option = `--threshold ${shellWord(`${byClass ? `${className}=` : ""}${lower(score)}`)}`;
    const hint = score < leastUseful ? "" : this.everywhere ? `: try ${option}` : `, which ${option} reports`;
    return `no ${wanted} has a score above ${byClass ? "its threshold" : limit}${where}; ${best}${hint}`;
  }
}

/** The next threshold that a score is above: in steps of 0.05 where that is not far below, otherwise of 0.01. */
function lower(score: number): string {
  const twentieth = Math.floor(score * 20) / 20;
  if (twentieth >= 0.15 && twentieth < score) return String(twentieth);
  const hundredth = Math.floor(score * 100) / 100;
  return String(hundredth < score ? hundredth : Math.round(hundredth * 100 - 1) / 100);
}

/** A score with two decimals, or two figures where it is small. It is not rounded up to the threshold. */
function shownBelow(score: number, threshold: number): string {
  if (!(score > 0)) return "0";
  const decimals = score >= 0.01 ? 2 : Math.min(12, 1 - Math.floor(Math.log10(score)));
  const rounded = score.toFixed(decimals);
  if (Number(rounded) < threshold || score >= threshold) return rounded;
  return (Math.floor(score * 10 ** decimals) / 10 ** decimals).toFixed(decimals);
}
