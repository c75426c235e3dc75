// The pictures of an evaluation, from its details alone: during a run, and after the fact.
import { basename } from "node:path";
import {
  type DetectionDetails,
  type EvaluationDetails,
  type ImageDetails,
  mainDetails,
} from "../eval/details/evaluation-details.js";
import { type ErrorKind, errorKinds } from "../eval/error-analysis/error-kinds.js";
import { type KindWords, kindWords } from "../eval/error-analysis/error-words.js";
import { confusionFigure } from "../eval/figures/confusion-figure.js";
import { f1Figure, precisionRecallFigure } from "../eval/figures/curve-figures.js";
import { type CocoRuns, fromCocoRuns } from "../masks/coco-runs.js";
import type { Mask } from "../masks/mask.js";
import { PictureError } from "../support/errors.js";
import { counted, thresholdText } from "../support/format.js";
import type { LabelledBox } from "./drawing/box-overlay.js";
import { PictureFolder, type PictureText } from "./picture-folder.js";
import type { PictureEntry } from "./picture-index.js";
import { sheet } from "./sheet.js";

/** Sheets of truth beside prediction, and images on each. */
const [sheets, imagesOfSheet] = [3, 4];
/** Pictures of each kind of error. */
const worstOfKind = 3;
/** Wrong detections that are drawn where none reaches the threshold. */
const fewest = 3;
/** Detections that are drawn on an image with few true objects; on others twice as many as there are true ones. */
const mostOfFew = 12;
const side = 480;

/**
 * Writes the pictures of an evaluation into a folder, and lists them in its `pictures.json`: curves, confusion
 * matrices, truth beside prediction, and the worst images of each kind of error. Those of an earlier evaluation are
 * replaced. Images that cannot be read are left out. All of it is of masks where these were evaluated.
 * @param options.autoOrient whether images are turned upright by their EXIF tag, as in the evaluation; default true
 * @throws RunDirectoryError if the folder cannot be written
 * @example
 * import { readFileSync } from "node:fs";
 * import { writeEvaluationPictures } from "rfdetr/predict";
 * const details = JSON.parse(readFileSync("evaluation.json", "utf8"));
 * for (const { file, title } of await writeEvaluationPictures("pictures", details)) console.log(file, title);
 */
export async function writeEvaluationPictures(
  folder: string,
  details: EvaluationDetails,
  { autoOrient = true }: { autoOrient?: boolean } = {},
): Promise<readonly PictureEntry[]> {
  const { epoch } = details.origin;
  const pictures = new PictureFolder(folder, epoch === null ? {} : { epoch });
  await pictures.figure("precision-recall.svg", "precision-recall", precisionRecallFigure(details));
  await pictures.figure("f1.svg", "f1", f1Figure(details));
  await pictures.figure("confusion.svg", "confusion", confusionFigure(details));
  await pictures.figure(
    "confusion-normalised.svg",
    "confusion-normalised",
    confusionFigure(details, { normalised: true }),
  );
  const draw = new Drawing(details, autoOrient);
  const shown = validationImages(details.images_shown);
  const groups = Array.from({ length: Math.ceil(shown.length / imagesOfSheet) }, (_, i) =>
    shown.slice(i * imagesOfSheet, (i + 1) * imagesOfSheet),
  );
  // The pictures of each loop are drawn at once, on all threads.
  const drawn = await Promise.all(groups.map((some) => draw.sheet(some.map((image) => draw.pair(image, null)))));
  for (const [i, content] of drawn.entries())
    if (content !== null) await pictures.photo(`validation-${i + 1}.jpg`, draw.textOfSheet(groups[i], i + 1), content);
  for (const kind of errorKinds) {
    const images = worstImages(details.images_shown, kind);
    const contents = await Promise.all(images.map((image) => draw.sheet([draw.pair(image, kind)])));
    let n = 1;
    for (const [i, content] of contents.entries())
      if (content !== null)
        await pictures.photo(`worst-${kind}-${n++}.jpg`, draw.textOfWorst(images[i], kind), content);
  }
  return pictures.finish(["validation", "worst"]);
}

/** Ordinary images, and where there are few of them some of the worst. */
function validationImages(images: readonly ImageDetails[]): ImageDetails[] {
  const readable = images.filter(({ file }) => file !== null);
  const ordinary = readable.filter(({ worst }) => worst.length === 0);
  const others = readable.filter(({ worst }) => worst.length > 0);
  return [...ordinary, ...others].slice(0, sheets * imagesOfSheet);
}

function worstImages(images: readonly ImageDetails[], kind: ErrorKind): ImageDetails[] {
  const rank = (image: ImageDetails): number =>
    image.worst.find((each) => each.kind === kind)?.rank ?? Number.POSITIVE_INFINITY;
  return images
    .filter((image) => image.file !== null && Number.isFinite(rank(image)))
    .sort((a, b) => rank(a) - rank(b))
    .slice(0, worstOfKind);
}

/** An image drawn twice: with its truth, and with its detections. */
interface Pair {
  image: string;
  truths: LabelledBox[];
  detections: LabelledBox[];
  captions: readonly [string, string];
}

/** A mask of an evaluation's file; none if it is damaged. */
function maskOf(runs: CocoRuns | undefined): { mask?: Mask } {
  const mask = fromCocoRuns(runs);
  return mask === null ? {} : { mask };
}

/** Detections of an image, the best first. */
type Detections = readonly DetectionDetails[];

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** How many detections are not drawn, if any. */
const leftOut = (count: number): string => (count === 0 ? "" : `; ${count} weaker not drawn`);

class Drawing {
  readonly #names: readonly string[];
  /** Detections are drawn from this score on: the threshold to use. */
  readonly #threshold: number;
  /** Where no threshold helps, the best detections are drawn, whatever their score. */
  readonly #helps: boolean;
  readonly #words: Readonly<Record<ErrorKind, KindWords>>;

  constructor(
    details: EvaluationDetails,
    readonly autoOrient: boolean,
  ) {
    const { per_class, best_threshold } = mainDetails(details);
    this.#words = kindWords(details.masks === undefined ? "box" : "mask");
    this.#names = per_class.map(({ class_name }) => class_name);
    this.#threshold = best_threshold.threshold;
    this.#helps = best_threshold.f1 > 0;
  }

  /** The pairs below each other; null where no image can be read. */
  async sheet(pairs: readonly Pair[]): Promise<Buffer | null> {
    const options = { side, columns: 2, classNames: this.#names, autoOrient: this.autoOrient };
    const tilesOf = ({ image, truths, detections, captions }: Pair) => [
      { image, boxes: truths, caption: captions[0] },
      { image, boxes: detections, caption: captions[1] },
    ];
    try {
      return await sheet(pairs.flatMap(tilesOf), options);
    } catch (error) {
      if (!(error instanceof PictureError) || error.code !== "ERR_PICTURE_INPUT") throw error;
      const readable = pairs.filter(({ image }) => !error.message.includes(image));
      return readable.length === 0 || readable.length === pairs.length ? null : this.sheet(readable);
    }
  }

  /** @param kind of error that stands out; null draws all alike */
  pair(image: ImageDetails, kind: ErrorKind | null): Pair {
    const file = image.file as string;
    const { wrong, drawn, left } = this.#choose(image, kind);
    const concerned = new Set(wrong.map(({ truth }) => truth));
    const stands = image.truths.map(({ state }, i) => (kind === "missed" ? state === "missed" : concerned.has(i)));
    const some = stands.includes(true);
    const truths = image.truths.map(({ box, label, state, mask }, i): LabelledBox => {
      const look = state === "crowd" ? "dashed" : some && !stands[i] ? "faint" : undefined;
      const drawn = { box, classId: label, className: this.#names[label], ...maskOf(mask) };
      return { ...drawn, ...(look === undefined ? {} : { look }) };
    });
    const detections = drawn.map((each): LabelledBox => {
      const { box, label, score, mask } = each;
      const faint = wrong.length > 0 && !wrong.includes(each);
      const drawn = { box, score, classId: label, className: this.#names[label], ...maskOf(mask) };
      return { ...drawn, ...(faint ? { look: "faint" } : {}) };
    });
    const what = kind === null ? this.#caption : this.#fault(wrong, image, kind);
    return {
      image: file,
      truths,
      detections,
      captions: [`truth: ${basename(file)}`, left === 0 ? what : `${left} not drawn; ${what}`],
    };
  }

  /** The same over a picture, which has room for some fifty letters. */
  get #caption(): string {
    return this.#helps ? `predicted from ${thresholdText(this.#threshold)}` : "predicted, no threshold helps yet";
  }

  /** Which detections are drawn, unless they are too many. */
  get #shown(): string {
    return this.#helps
      ? `confidence from ${thresholdText(this.#threshold)}`
      : "any confidence, as no threshold helps yet";
  }

  /**
   * The detections that are drawn of an image: the wrong ones of a kind, then those that reach the threshold, the best
   * first, and no more of them than can be told apart.
   */
  #choose(image: ImageDetails, kind: ErrorKind | null): { wrong: Detections; drawn: Detections; left: number } {
    const wrong = kind === null || kind === "missed" ? [] : this.#wrong(image, kind);
    const reached = image.detections.filter(({ score }) => score >= this.#threshold);
    const all = [...wrong, ...reached.filter((each) => !wrong.includes(each))];
    const drawn = all.slice(0, Math.max(mostOfFew, 2 * image.truths.length));
    return { wrong: wrong.filter((each) => drawn.includes(each)), drawn, left: all.length - drawn.length };
  }

  /** The wrong detections of a kind that reach the threshold, or the best of them. */
  #wrong({ detections }: ImageDetails, kind: ErrorKind): Detections {
    const all = detections.filter(({ state }) => state === kind);
    const reached = all.filter(({ score }) => score >= this.#threshold);
    return reached.length > 0 ? reached : all.slice(0, fewest);
  }

  /** The error in words. */
  #fault(wrong: Detections, image: ImageDetails, kind: ErrorKind): string {
    const labels =
      kind === "missed"
        ? image.truths.filter(({ state }) => state === "missed").map(({ label }) => label)
        : wrong.map(({ label }) => label);
    const names = [...new Set(labels)].map((label) => this.#names[label]);
    return `${this.#words[kind].name}: ${names.join(", ")}`;
  }

  textOfSheet(images: readonly ImageDetails[], n: number): PictureText {
    const found = images.map((image) => {
      const { drawn, left } = this.#choose(image, null);
      const objects = counted(image.truths.length, "true object");
      return `${basename(image.file as string)}: ${objects}, ${counted(drawn.length, "detection")}${leftOut(left)}`;
    });
    return {
      kind: "validation",
      title: `Truth beside prediction, ${n}`,
      alt: `Images with their true boxes at the left, and with the detections at the right: ${this.#shown}. ${found.join("; ")}.`,
    };
  }

  textOfWorst(image: ImageDetails, kind: ErrorKind): PictureText {
    const name = basename(image.file as string);
    const { wrong, left } = this.#choose(image, kind);
    return {
      kind: "worst",
      title: `${capital(this.#words[kind].name)}: ${name}`,
      alt: `${name} with its ${counted(image.truths.length, "true box", "true boxes")} at the left, and with detections at the right: ${this.#fault(wrong, image, kind)}${leftOut(left)}.`,
    };
  }
}
