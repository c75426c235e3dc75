// Which categories of COCO files are classes, and which class a category of another split is.
import { type Entry, isEntry, readId, textOf } from "./entries.js";
import type { ListedClass, Problem } from "./listing.js";

/** A category of an annotation file. */
export interface Category {
  id: number | string;
  name: string;
  supercategory: string | null;
}

/** The categories that can be read; a problem for each that cannot. */
export function readCategories(
  file: string,
  entries: readonly unknown[],
): { categories: Category[]; problems: Problem[] } {
  const categories = new Map<number | string, Category>();
  const problems: Problem[] = [];
  const malformed = (i: number, message: string): void => {
    problems.push({ check: "malformed entries", file, id: null, message: `categories[${i}] of ${file} ${message}` });
  };
  for (const [i, entry] of entries.entries()) {
    if (!isEntry(entry)) {
      malformed(i, `is no category: ${textOf(entry)}`);
      continue;
    }
    const id = readId(entry.id);
    const name = nameOf(entry);
    if (id === null) malformed(i, `has no id: ${textOf(entry.id)}`);
    else if (name === null) malformed(i, `has no name: ${textOf(entry.name)}`);
    else if (categories.get(id)?.name === name) continue;
    else if (categories.has(id)) {
      const message = `category ${id} appears more than once in ${file}: as ${categories.get(id)?.name} and as ${name}`;
      problems.push({ check: "duplicate category ids", file, id, message });
    } else categories.set(id, { id, name, supercategory: textOrNull(entry.supercategory) });
  }
  return { categories: [...categories.values()], problems };
}

function nameOf({ name }: Entry): string | null {
  if (typeof name === "number" || typeof name === "boolean") return String(name);
  return typeof name === "string" && name.trim() !== "" ? name : null;
}

const textOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null);

function byId(a: Category, b: Category): number {
  if (typeof a.id === "number" && typeof b.id === "number") return a.id - b.id;
  return String(a.id) < String(b.id) ? -1 : 1;
}

const placeholders = new Set(["none", "null"]);

/**
 * Categories that are classes, by ascending id. A category that only groups others is left out: one without annotations
 * whose name is the supercategory of another, such as the first category of Roboflow's exports, also where its only
 * class has the same name. If that would leave none, all are kept. Of several categories of one name, those without
 * annotations are left out.
 * @param used ids of the categories that have annotations
 */
export function classCategories(categories: readonly Category[], used: ReadonlySet<number | string>): Category[] {
  const groups = (category: Category): boolean =>
    !placeholders.has(category.name.toLowerCase()) &&
    categories.some((other) => other !== category && other.supercategory === category.name);
  const classes = categories.filter((category) => used.has(category.id) || !groups(category));
  const kept = classes.length > 0 ? classes : [...categories];
  const usedNames = new Set(kept.filter(({ id }) => used.has(id)).map(({ name }) => name));
  const unusedTwin = (category: Category, i: number): boolean =>
    !used.has(category.id) &&
    (usedNames.has(category.name) || kept.findIndex(({ name }) => name === category.name) < i);
  return kept.filter((category, i) => !unusedTwin(category, i)).sort(byId);
}

/** Classes that have the name of another class. */
export function twins(classes: readonly ListedClass[]): ListedClass[] {
  return classes.filter(({ name }, i) => classes.findIndex((other) => other.name === name) !== i);
}

/** The class of each category of a split, and which of them are numbered in another way than in the train split. */
export interface JoinedClasses {
  labels: Map<number | string, number>;
  renumbered: Category[];
}

/**
 * Finds the classes of a split's categories: the one of the same id and name, else the one of the same name. An id that
 * the split does not describe is that of the train split.
 */
export function joinClasses(classes: readonly ListedClass[], own: readonly Category[]): JoinedClasses {
  const byNumber = new Map(classes.map(({ id }, i) => [id, i]));
  const byName = new Map([...classes.entries()].reverse().map(([i, { name }]) => [name, i]));
  const labels = new Map<number | string, number>();
  const renumbered: Category[] = [];
  for (const category of own) {
    const same = byNumber.get(category.id);
    if (same !== undefined && classes[same].name === category.name) labels.set(category.id, same);
    else {
      const named = byName.get(category.name);
      labels.set(category.id, named ?? -1);
      if (named !== undefined) renumbered.push(category);
    }
  }
  for (const [id, i] of byNumber) if (!labels.has(id)) labels.set(id, i);
  return { labels, renumbered };
}
