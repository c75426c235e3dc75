// The folder that `rfdetr val --out` writes.
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { writeDetails } from "../../eval/details/details-file.js";
import type { EvaluationDetails } from "../../eval/details/evaluation-details.js";
import { writeEvaluationPictures } from "../../pictures/evaluation-pictures.js";
import { RunDirectoryError } from "../../support/errors.js";
import { makeFolder, removeEmpty } from "../../support/files/atomic.js";

const detailsName = "evaluation.json";
const picturesName = "pictures";

/** A folder for one evaluation: `evaluation.json` and `pictures/`. */
export class EvaluationFolder {
  readonly #made: string[];

  private constructor(
    readonly path: string,
    made: string[],
  ) {
    this.#made = made;
  }

  /**
   * Makes the folder. It may have other files: no other evaluation, and no run, is overwritten.
   * @throws RunDirectoryError before anything is evaluated
   */
  static open(path: string): EvaluationFolder {
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
    // Another evaluation may have been quicker.
    refuseTaken(this.path);
    writeDetails(join(this.path, detailsName), details);
    const pictures = await writeEvaluationPictures(join(this.path, picturesName), details, { autoOrient });
    return pictures.length;
  }

  /** Removes those of the folders that were made that are still empty: there was nothing to write. */
  giveUp(): void {
    removeEmpty(this.#made);
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
