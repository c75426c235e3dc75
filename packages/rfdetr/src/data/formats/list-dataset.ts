// Lists the splits of a dataset of any layout. Every reader of datasets begins here: checks, training, evaluation,
// statistics, copies.
import { DataError } from "../../support/errors.js";
import { isSystemError, reasonOf } from "../../support/files/system-error.js";
import { type Category, classCategories, joinClasses, readCategories, twins } from "./class-categories.js";
import { type CocoJson, readCocoJson } from "./coco-json.js";
import { type CocoParts, listCoco } from "./coco-listing.js";
import type { Split } from "./dataset.js";
import { isEntry, readId } from "./entries.js";
import { findLayout, type Layout, missingSplit, type SplitSource, splits } from "./layout.js";
import type { ListedClass, Listing, Problem } from "./listing.js";
import { readSegmentation } from "./segmentation.js";
import { readYoloContent, type YoloContent, type YoloFile } from "./yolo-file.js";
import { listYolo } from "./yolo-listing.js";

/** How a dataset is listed. */
export interface ListOptions {
  /**
   * The splits to list (default train, valid, and test if there is one). One that is missing is a problem; `present`
   * lists those that there are.
   */
  splits?: readonly Split[] | "present";
  /** Whether pictures are turned as their EXIF tag says (default true); see `chooseOrientation`. */
  autoOrient?: boolean;
  /** Whether to keep the outlines of COCO annotations (default false). */
  segmentations?: boolean;
  /** Whether to read the outlines of the objects (default false). */
  outlines?: boolean;
  /** Whether annotations that belong to no split count as the train split (default false). */
  unsplit?: boolean;
}

/** What the files of a dataset say. */
export interface DatasetListing {
  layout: Layout;
  /** Classes in the order of their indices. */
  classes: ListedClass[];
  splits: Partial<Record<Split, Listing>>;
  /** What kept a split from being listed. */
  problems: (Problem & { split: Split })[];
}

/**
 * Lists the splits of a dataset. The categories of the train split are the classes; those of another split are joined
 * to them by id and name, else by name.
 * @param data a folder, or the YAML file of a YOLO dataset
 * @throws DataError if it is no dataset at all; what is wrong inside of it becomes a problem
 */
export function listDataset(data: string, options: ListOptions = {}): DatasetListing {
  const { autoOrient = true, segmentations = false, outlines = false } = options;
  const layout = orDataError(data, () => findLayout(data));
  if (options.unsplit && layout.unsplit !== null) layout.sources.train ??= layout.unsplit;
  const present = splits.filter((split) => layout.sources[split] !== undefined);
  if (present.length === 0) throw new DataError(`Expected a dataset but ${missingSplit(layout, "train")}`);
  const problems: DatasetListing["problems"] = [];
  const report = (split: Split, check: string, file: string, message: string): void => {
    problems.push({ split, check, file, id: null, message });
  };
  const sources = new Sources(segmentations, outlines);
  let classes: ListedClass[] | null = null;
  // The first split that can be read gives the classes.
  for (const split of present) {
    try {
      classes ??= sources.classes(layout.sources[split] as SplitSource);
    } catch (error) {
      if (!isReadable(error)) throw error;
    }
  }
  const listing: DatasetListing = { layout, classes: classes ?? [], splits: {}, problems };
  const usual = splits.filter((split) => split !== "test" || present.includes(split));
  const wanted = options.splits === "present" ? present : (options.splits ?? usual);
  for (const split of wanted) {
    const source = layout.sources[split];
    if (source === undefined) {
      report(split, "missing split", layout.root, missingSplit(layout, split));
      continue;
    }
    const file = source.layout === "yolo" ? source.yolo.path : source.annotations;
    try {
      listing.splits[split] = sources.list(layout.root, split, source, listing.classes, { autoOrient });
    } catch (error) {
      if (!isReadable(error)) throw error;
      report(split, "broken annotations", file, messageOf(error));
    }
  }
  reportTwins(listing, present[0], sources);
  return listing;
}

/** Whether an error is about the files of the dataset. */
const isReadable = (error: unknown): error is Error => error instanceof DataError || isSystemError(error);

function messageOf(error: Error): string {
  if (!isSystemError(error)) return error.message;
  return `${error.path ?? "a file"} cannot be read: ${reasonOf(error)}`;
}

function orDataError<T>(data: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new DataError(`Expected a readable dataset in ${data} but ${messageOf(error)}`, { cause: error });
  }
}

/** Classes of one name are reported for the split that gives the classes. */
function reportTwins(
  { classes, splits: listed, problems, layout }: DatasetListing,
  split: Split,
  sources: Sources,
): void {
  const source = layout.sources[split];
  if (source === undefined) return;
  const file = source.layout === "yolo" ? source.yolo.path : source.annotations;
  for (const name of new Set(twins(classes).map((twin) => twin.name))) {
    const ids = classes.filter((each) => each.name === name).map(({ id }) => id);
    const message = `${ids.length} classes of ${file} have the name ${name} (${ids.join(", ")}): give each its own`;
    const problem = { check: "classes of one name", file, id: null, message };
    const own = listed[split];
    if (own === undefined) problems.push({ split, ...problem });
    else own.problems.push(problem);
  }
  for (const problem of sources.problemsOf(source)) listed[split]?.problems.push(problem);
}

/** Reads each file once. */
class Sources {
  readonly #coco = new Map<string, { content: CocoJson; categories: Category[]; problems: Problem[] }>();
  readonly #yolo = new Map<string, YoloContent>();

  constructor(
    private readonly segmentations: boolean,
    private readonly outlines: boolean,
  ) {}

  classes(source: SplitSource): ListedClass[] {
    if (source.layout === "yolo") return this.#yoloContent(source.yolo).names.map((name, id) => ({ name, id }));
    const { content, categories } = this.#cocoContent(source);
    const used = new Set<number | string>();
    for (const entry of content.annotations) {
      const id = isEntry(entry) ? readId(entry.category_id) : null;
      if (id !== null) used.add(id);
    }
    return classCategories(categories, used).map(({ name, id }) => ({ name, id }));
  }

  problemsOf(source: SplitSource): readonly Problem[] {
    return source.layout === "yolo" ? [] : (this.#coco.get(source.annotations)?.problems ?? []);
  }

  list(
    root: string,
    split: Split,
    source: SplitSource,
    classes: readonly ListedClass[],
    header: { autoOrient: boolean },
  ): Listing {
    if (source.layout === "yolo") {
      const content = this.#yoloContent(source.yolo);
      const classOf = labelsByName(classes, content.names);
      const listing = listYolo(source, split, { ...content, classOf, outlines: this.outlines }, header);
      // What is odd about the file is said with the first split that it names.
      const file = source.yolo.path;
      for (const message of content.remarks.splice(0))
        listing.problems.push({ check: "contradictions", file, id: null, message });
      return listing;
    }
    const { content, categories } = this.#cocoContent(source);
    const joined = joinClasses(classes, categories);
    return listCoco({ root, source, split, content, categories, joined, outlines: this.outlines }, header);
  }

  #cocoContent({ annotations: path, lost }: CocoParts["source"]): {
    content: CocoJson;
    categories: Category[];
    problems: Problem[];
  } {
    if (lost !== null) throw new DataError(lost);
    const known = this.#coco.get(path);
    if (known !== undefined) return known;
    // What is not kept as stated takes less memory as soon as it is read.
    const segmentations = this.segmentations || (this.outlines ? readSegmentation : false);
    const content = readCocoJson(path, { segmentations });
    const read = { content, ...readCategories(path, content.categories) };
    this.#coco.set(path, read);
    return read;
  }

  #yoloContent(file: YoloFile): YoloContent {
    const known = this.#yolo.get(file.path);
    if (known !== undefined) return known;
    const content = readYoloContent(file);
    this.#yolo.set(file.path, content);
    return content;
  }
}

/** The class of each number of a YOLO file; its own order, except where another split gave the classes. */
function labelsByName(classes: readonly ListedClass[], names: readonly string[]): number[] {
  return names.map((name, i) => (classes[i]?.name === name ? i : classes.findIndex((each) => each.name === name)));
}
