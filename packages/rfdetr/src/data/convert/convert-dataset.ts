// `rfdetr data convert`: a copy of a dataset in the other format. What the other format has no place for is named.
import { DataError } from "../../support/errors.js";
import { append } from "../../support/lists.js";
import { checkArgument, oneOf } from "../../support/options.js";
import type { Split } from "../formats/dataset.js";
import { splits } from "../formats/layout.js";
import { listDataset } from "../formats/list-dataset.js";
import type { ListedImage, Listing } from "../formats/listing.js";
import { refuseFaults } from "../write/unchanged.js";
import { nameUnder, refuseExisting, writeDataset } from "../write/write-dataset.js";
import type { WrittenDataset, WrittenImage } from "../write/written.js";
import { type ConvertImage, Losses } from "./losses.js";
import { toCoco } from "./to-coco.js";
import { toYolo } from "./to-yolo.js";

/** What was written. */
export interface ConvertReport {
  /** Layout of the dataset that was read: `roboflow-coco`, `coco` or `yolo`. */
  from: string;
  splits: Partial<Record<Split, { images: number; annotations: number }>>;
  /** What the copy lacks, and boxes that it has otherwise, one sentence each. */
  losses: string[];
  /** What else is not as it was, one sentence each. */
  remarks: string[];
}

/**
 * Writes a copy of a dataset: to COCO in Roboflow's layout, or to YOLO with `data.yaml`. Classes keep their order. A
 * dataset without splits becomes one with a train split only. Image files are linked, or copied where the system cannot
 * link them.
 * @param data a folder, or the YAML file of a YOLO dataset
 * @throws DataError if the target exists, if the dataset has that format already or has faults; nothing is written
 * @throws RunDirectoryError if the copy cannot be written
 * @example
 * import { convertDataset } from "rfdetr/data";
 * const { losses } = convertDataset("birds-coco/", "birds-yolo/", "yolo");
 * for (const loss of losses) console.warn(loss);
 */
export function convertDataset(data: string, target: string, to: "coco" | "yolo"): ConvertReport {
  checkArgument("to", to, oneOf("coco", "yolo"));
  refuseExisting(target);
  const listing = listDataset(data, { splits: "present", segmentations: true, unsplit: true });
  const present = splits.filter((split) => listing.layout.sources[split] !== undefined);
  const listings = present.flatMap((split) => listing.splits[split] ?? []);
  refuseFaults(listing, present);
  const [first] = listings;
  if (listings.every(({ layout: own }) => (own === "yolo") === (to === "yolo")))
    throw new DataError(`Expected a dataset of another format than ${to} but ${data} has it already`);
  const losses = new Losses();
  const convert = to === "yolo" ? toYolo : toCoco;
  const remarks: string[] = [];
  const dataset: WrittenDataset = {
    layout: to,
    // From 1, as COCO counts: many tools take 0 for the background.
    classes: first.layout === "yolo" ? listing.classes.map(({ name }, i) => ({ name, id: i + 1 })) : listing.classes,
    classNames: listing.classes.map(({ name }) => name),
    splits: Object.fromEntries(
      listings.map((own) => [
        own.split,
        { images: own.images.map((image) => imageOf(image, own, convert, losses)), rest: own.rest },
      ]),
    ),
  };
  if (to === "yolo" && listing.classes.some(({ id }, i) => id !== i))
    remarks.push(
      `the category ids ${listing.classes
        .map(({ id }) => id)
        .slice(0, 10)
        .join(", ")}${listing.classes.length > 10 ? ", …" : ""} are now 0 to ${listing.classes.length - 1}`,
    );
  const { counts, remarks: changes } = writeDataset(target, dataset, { source: listing.layout.root });
  append(remarks, changes);
  return { from: first.layout, splits: counts, losses: losses.sentences(), remarks };
}

function imageOf(image: ListedImage, { folders }: Listing, convert: ConvertImage, losses: Losses): WrittenImage {
  const { file, entry } = image;
  const converted = convert(image, losses);
  if (image.boxes.length > 0 && converted.boxes.length === 0)
    losses.add("images lose all their annotations: training takes them for background");
  return { file, name: nameUnder(folders, file), entry: entry ?? {}, ...converted };
}
