// The folder that `rfdetr val --out` writes.
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { writeDetails } from "../../eval/details/details-file.js";
import type { EvaluationDetails } from "../../eval/details/evaluation-details.js";
import { writeEvaluationPictures } from "../../pictures/evaluation-pictures.js";
import { RunDirectoryError } from "../../support/errors.js";
import { makeFolder, removeEmpty, writeFailure } from "../../support/files/atomic.js";
import { besideName, discard, leftoversOf, scratchBeside } from "../../support/files/scratch.js";

const detailsName = "evaluation.json";
const picturesName = "pictures";

/** A folder for one evaluation: `evaluation.json` and `pictures/`, which appear when they are whole. */
export class EvaluationFolder {
  readonly #made: string[];
  /** Folder in this one that they are made in. */
  #unfinished: string | null = null;

  private constructor(
    readonly path: string,
    made: string[],
  ) {
    this.#made = made;
  }

  /**
   * Makes the folder. It may have other files: no other evaluation, and no run, is overwritten. What an evaluation
   * left there that was killed is removed.
   * @throws RunDirectoryError before anything is evaluated
   */
  static open(path: string): EvaluationFolder {
    removeLeftovers(path);
    refuseTaken(path);
    return new EvaluationFolder(path, makeFolder(path));
  }

  /**
   * Writes the evaluation and its pictures.
   * @param autoOrient whether images were turned upright by their EXIF tag
   * @returns the number of pictures; images that cannot be read are left out
   * @throws RunDirectoryError
   */
  async write(details: EvaluationDetails, autoOrient: boolean): Promise<number> {
    const unfinished = scratchBeside(join(this.path, detailsName));
    this.#unfinished = unfinished;
    try {
      mkdirSync(unfinished);
      const pictures = await writeEvaluationPictures(join(unfinished, picturesName), details, { autoOrient });
      writeDetails(join(unfinished, detailsName), details);
      // Another evaluation may have been quicker.
      refuseTaken(this.path);
      for (const name of [picturesName, detailsName]) renameSync(join(unfinished, name), join(this.path, name));
      return pictures.length;
    } catch (error) {
      throw writeFailure(join(this.path, detailsName), error);
    }
  }

  /** Removes what is unfinished, and those of the folders that were made that are empty then. */
  close(): void {
    if (this.#unfinished !== null) discard(this.#unfinished);
    removeEmpty(this.#made);
  }
}

function removeLeftovers(path: string): void {
  for (const leftover of leftoversOf(join(path, besideName))) {
    // Pictures are made first and moved first: it was killed between the two, and the pictures are its own.
    if (existsSync(join(leftover, detailsName)) && !existsSync(join(leftover, picturesName)))
      discard(join(path, picturesName));
    discard(leftover);
  }
}

/** @throws RunDirectoryError where the folder has an evaluation */
function refuseTaken(path: string): void {
  const taken = [detailsName, picturesName].filter((name) => existsSync(join(path, name)));
  if (taken.length > 0)
    throw new RunDirectoryError(
      `Expected an output folder without the files to write but ${path} has ${taken.join(" and ")}: choose another folder`,
    );
}

/** The details with the paths of those images that lie where the annotation file says, seen from its own folder. */
export function withImagePaths(details: EvaluationDetails, annotations: string): EvaluationDetails {
  const images_shown = details.images_shown.map((image) => {
    const path = image.file === null ? null : resolve(dirname(annotations), image.file);
    return path !== null && existsSync(path) ? { ...image, file: path } : image;
  });
  return { ...details, images_shown };
}
