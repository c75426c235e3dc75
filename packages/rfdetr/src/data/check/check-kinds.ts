// What a check is, and the kinds that most of them are.
import type { ListedBox, ListedImage, Listing, Problem } from "../formats/listing.js";

/**
 * `refused`: training stops before its first step and names the fault. `repaired`: it drops or corrects the entry, and
 * says how many. `kept`: it goes on, and says so where it matters.
 */
export type TrainingReaction = "refused" | "repaired" | "kept";

/** A check of a split. */
export interface Check {
  name: string;
  training: TrainingReaction;
  /** What training does about it in the valid split, where that differs. */
  valid?: TrainingReaction;
  /** What the fault is and what to do, for docs/data.md. */
  about: string;
  /** The faults of this kind. */
  find: (split: Listing) => Problem[];
}

/** A check whose faults the reader of the files finds. */
export const foundByReader = (name: string, training: TrainingReaction, about: string): Check => ({
  name,
  training,
  about,
  find: ({ problems }) => problems.filter(({ check }) => check === name),
});

/** A check of a split as a whole; the sentence says what is wrong. */
export function ofSplit(
  name: string,
  training: TrainingReaction,
  about: string,
  sentence: (split: Listing) => string | null,
): Check {
  const find = (split: Listing): Problem[] => {
    const message = sentence(split);
    return message === null ? [] : [{ check: name, file: split.source, id: null, message }];
  };
  return { name, training, about, find };
}

/** A check of each image. */
export function ofImages(
  name: string,
  training: TrainingReaction,
  about: string,
  sentence: (image: ListedImage) => string | null,
): Check {
  const find = ({ images }: Listing): Problem[] =>
    images.flatMap((image) => {
      const message = sentence(image);
      return message === null ? [] : [{ check: name, file: image.file, id: image.id, message }];
    });
  return { name, training, about, find };
}

/** A check of each box. */
export function ofBoxes(
  name: string,
  training: TrainingReaction,
  about: string,
  sentence: (box: ListedBox) => string | null,
): Check {
  const find = ({ images }: Listing): Problem[] =>
    images.flatMap(({ boxes }) =>
      boxes.flatMap((box) => {
        const message = sentence(box);
        return message === null ? [] : [{ check: name, file: box.file, id: box.id, message }];
      }),
    );
  return { name, training, about, find };
}
