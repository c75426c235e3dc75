// Reads a copy of a dataset back before it gets its name.
import { DataError } from "../../support/errors.js";
import { findingsOf } from "../check/findings.js";
import type { Split } from "../formats/dataset.js";
import { listDataset } from "../formats/list-dataset.js";

/** Numbers of entries in each split. */
export type SplitCounts = Partial<Record<Split, { images: number; annotations: number }>>;

/**
 * @param counts what was written
 * @param autoOrient as the copy will be read
 * @throws DataError if the copy has a fault that training refuses, or reads back with other numbers than were written
 */
export function verifyCopy(folder: string, counts: SplitCounts, autoOrient: boolean): void {
  const written = Object.entries(counts) as [Split, { images: number; annotations: number }][];
  const listing = listDataset(folder, { splits: written.map(([split]) => split), autoOrient });
  for (const [split, { images, annotations }] of written) {
    const refused = findingsOf(listing, split).find(({ training }) => training === "refused");
    if (refused !== undefined) throw new DataError(`The copy could not be trained on: ${refused.message}`);
    const read = listing.splits[split];
    if (read?.images.length !== images || read.annotations !== annotations)
      throw new DataError(
        `The copy would hold ${read?.images.length} images and ${read?.annotations} annotations in ${split} instead of ${images} and ${annotations}`,
      );
  }
}
