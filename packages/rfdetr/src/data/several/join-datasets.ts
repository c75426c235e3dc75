// Several datasets as one: their classes are joined by name, their images lie side by side.
import { DataError } from "../../support/errors.js";
import { counted } from "../../support/format.js";
import { append } from "../../support/lists.js";
import type { Dataset, DatasetImage, DatasetPart, Regions, Split } from "../formats/dataset.js";
import type { ListedDataset } from "./dataset-list.js";

/** A dataset of the list with the splits of it that are wanted and there. */
export interface OpenedDataset extends ListedDataset {
  splits: Partial<Record<Split, Dataset>>;
}

/**
 * Joins the same split of several datasets.
 * @throws DataError if none has the split, or where classes are of one name but for its spelling
 */
export function joinDatasets(opened: readonly OpenedDataset[], split: Split): Dataset {
  const classNames = joinClasses(opened);
  const indexOf = new Map(classNames.map((name, i) => [name, i]));
  const images: DatasetImage[] = [];
  const parts: DatasetPart[] = [];
  const warnings: string[] = [];
  for (const { path, share, splits } of opened) {
    const dataset = splits[split];
    if (dataset === undefined) continue;
    const map = Int32Array.from(dataset.classNames, (name) => indexOf.get(name) as number);
    const from = images.length;
    for (const image of dataset.images)
      images.push({
        ...image,
        id: images.length,
        dataset: path,
        ...mapped(image, map),
        crowd: mapped(image.crowd, map),
      });
    parts.push({ path, share, from, to: images.length });
    append(
      warnings,
      dataset.warnings.map((text) => `${path}: ${text}`),
    );
  }
  if (parts.length === 0)
    throw new DataError(
      `Expected a ${split} split in one of ${opened.map(({ path }) => path).join(", ")} but none has it`,
    );
  if (split === "train") append(warnings, missingClasses(opened, classNames));
  return { layout: "several", images, classNames, categoryIds: classNames.map((_, i) => i), warnings, parts };
}

function mapped({ boxes, labels, areas, outlines }: Regions, map: Int32Array): Regions {
  const own = { boxes, areas, labels: labels.map((label) => map[label]) };
  return outlines === undefined ? own : { ...own, outlines };
}

/** The classes of all datasets, in the order in which they come. What one dataset spells in two ways is two classes. */
function joinClasses(opened: readonly OpenedDataset[]): string[] {
  const names = new Set<string>();
  const first = new Map<string, { name: string; path: string }>();
  for (const { path, splits } of opened)
    for (const name of Object.values(splits)[0].classNames) {
      if (names.has(name)) continue;
      const key = name
        .normalize("NFC")
        .trim()
        .toLowerCase()
        .replaceAll(/[\s_-]+/g, " ");
      const known = first.get(key);
      if (known !== undefined && known.path !== path)
        throw new DataError(
          `Expected one spelling of each class but ${known.path} has ${JSON.stringify(known.name)} and ${path} has ${JSON.stringify(name)}: rename one of them`,
        );
      if (known === undefined) first.set(key, { name, path });
      names.add(name);
    }
  return [...names];
}

/** A class that a dataset does not have is background in its images, also where it is there. */
function missingClasses(opened: readonly OpenedDataset[], classNames: readonly string[]): string[] {
  return opened.flatMap(({ path, splits }) => {
    const own = new Set(splits.train?.classNames);
    const missing = classNames.filter((name) => !own.has(name));
    if (missing.length === 0) return [];
    const some = missing.length > 5 ? [...missing.slice(0, 5), "…"] : missing;
    return [
      `${path} does not have ${counted(missing.length, "class", "classes")} of the others (${some.join(", ")}): what its images show of them is learned as background`,
    ];
  });
}
