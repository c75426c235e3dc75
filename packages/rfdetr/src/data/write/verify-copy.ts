// Reads a copy of a dataset back before it gets its name.
import { DataError } from "../../support/errors.js";
import { findingsOf } from "../check/findings.js";
import type { Split } from "../formats/dataset.js";
import { listDataset } from "../formats/list-dataset.js";
import type { WrittenDataset } from "./write-dataset.js";

/**
 * @param autoOrient as the copy will be read
 * @throws DataError if the copy has a fault that training refuses, or reads back with fewer images or annotations than
 * were written
 */
export function verifyCopy(folder: string, { splits }: WrittenDataset, autoOrient = true): void {
  const written = Object.entries(splits) as [Split, NonNullable<WrittenDataset["splits"][Split]>][];
  const listing = listDataset(folder, { splits: written.map(([split]) => split), autoOrient });
  for (const [split, { images }] of written) {
    const refused = findingsOf(listing, split).find(({ training }) => training === "refused");
    if (refused !== undefined) throw new DataError(`The copy could not be trained on: ${refused.message}`);
    const boxes = images.reduce((sum, image) => sum + image.boxes.length, 0);
    const read = listing.splits[split];
    if (read?.images.length !== images.length || read.annotations !== boxes)
      throw new DataError(
        `The copy would hold ${read?.images.length} images and ${read?.annotations} annotations in ${split} instead of ${images.length} and ${boxes}`,
      );
  }
}
