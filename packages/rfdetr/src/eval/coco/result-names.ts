// Which image and class a result is of, where it names them as `rfdetr predict` does.
import { type Entry, readId } from "../../data/formats/entries.js";
import { backgroundName } from "../../support/names.js";
import { kind, type Source } from "./file-entries.js";

/** The image and the class of a result. */
export interface Place {
  image: number;
  label: number;
}

/** Images by the last part of their path, with the whole of it; a class by its name, or null for several. */
export interface KnownNames {
  files: ReadonlyMap<string, readonly { path: string; image: number }[]>;
  classes: ReadonlyMap<string, number | null>;
}

/**
 * The names of an annotation file. Of several categories of one name, the only one that has annotations counts.
 * @param images in their order
 * @param classes in the order of their labels
 * @param used labels that have annotations
 */
export function knownNames(
  images: readonly Entry[],
  classes: readonly string[],
  used: ReadonlySet<number>,
): KnownNames {
  const files = new Map<string, { path: string; image: number }[]>();
  for (const [image, { file_name: file }] of images.entries()) {
    if (typeof file !== "string") continue;
    const path = normal(file);
    const alike = files.get(lastPart(path));
    if (alike === undefined) files.set(lastPart(path), [{ path, image }]);
    else alike.push({ path, image });
  }
  const labels = new Map<string, number[]>();
  for (const [label, name] of classes.entries()) {
    const key = name.normalize();
    labels.set(key, [...(labels.get(key) ?? []), label]);
  }
  const only = (twins: readonly number[]): number | null => {
    const annotated = twins.length > 1 ? twins.filter((label) => used.has(label)) : twins;
    return annotated.length === 1 ? annotated[0] : null;
  };
  return { files, classes: new Map([...labels].map(([name, twins]) => [name, only(twins)])) };
}

/** The images that a path may mean: those of the same path, else those of which one path is the end of the other. */
export function imagesNamed(names: KnownNames, file: string): number[] {
  const path = normal(file);
  const alike = names.files.get(lastPart(path)) ?? [];
  const same = alike.filter((known) => known.path === path);
  return (same.length > 0 ? same : alike.filter((known) => endsWith(known.path, path))).map(({ image }) => image);
}

/** Finds the image and the class of results by their names where they have both, else by their ids. */
export class ResultPlaces {
  readonly #source: Source;
  readonly #names: KnownNames;
  readonly #images: ReadonlyMap<number | string, number>;
  readonly #labels: ReadonlyMap<number | string, number>;
  /** The file name under which the results have an image. */
  readonly #fileOf = new Map<number, string>();
  #contradictions = 0;

  constructor(
    source: Source,
    names: KnownNames,
    ids: { images: ReadonlyMap<number | string, number>; labels: ReadonlyMap<number | string, number> },
  ) {
    this.#source = source;
    this.#names = names;
    this.#images = ids.images;
    this.#labels = ids.labels;
  }

  /** Results whose ids are those of another image or class than their names. */
  get contradictions(): number {
    return this.#contradictions;
  }

  /** @returns null for a result of no class, as the row of the class head for none gives them */
  of(result: Entry, where: string): Place | null {
    const { image_id, category_id, file_name: file, category_name: name } = result;
    if (name === backgroundName && !this.#names.classes.has(name)) return null;
    if (typeof file !== "string" || typeof name !== "string")
      return {
        image: this.#source.lookUp(this.#images, image_id, "image", where),
        label: this.#source.lookUp(this.#labels, category_id, "category", where),
      };
    const place = { image: this.#imageOf(file, where), label: this.#labelOf(name, where) };
    const image = this.#images.get(readId(image_id) ?? "") ?? place.image;
    const label = this.#labels.get(readId(category_id) ?? "") ?? place.label;
    if (image !== place.image || label !== place.label) this.#contradictions++;
    return place;
  }

  #imageOf(file: string, where: string): number {
    const path = normal(file);
    const found = imagesNamed(this.#names, file);
    if (found.length !== 1) throw this.#refusal("file_name", file, where, { thing: "image", count: found.length });
    const [image] = found;
    const before = this.#fileOf.get(image) ?? path;
    this.#fileOf.set(image, path);
    if (before !== path)
      throw this.#source.fail(
        `Expected one file_name for each image in ${this.#source.path} but received both ${before} and ${path}, and the annotation file has one image for them: predict the images of the annotation file only`,
      );
    return image;
  }

  #labelOf(name: string, where: string): number {
    const label = this.#names.classes.get(name.normalize());
    if (typeof label === "number") return label;
    throw this.#refusal("category_name", name, where, { thing: "category", count: label === null ? 2 : 0 });
  }

  #refusal(key: string, value: string, where: string, { thing, count }: { thing: string; count: number }): Error {
    const which = count === 0 ? `is no ${thing} of the annotation file` : `could be more than one ${thing} there`;
    return this.#source.fail(
      `Expected a known ${key} for ${where} in ${this.#source.path} but received ${kind(value)}, which ${which}; take the annotation file of the same data, or remove file_name and category_name from the results to go by the ids`,
    );
  }
}

const normal = (path: string): string =>
  path
    .normalize()
    .replaceAll("\\", "/")
    .replace(/^(\.\/)+/, "");
const lastPart = (path: string): string => path.slice(path.lastIndexOf("/") + 1);
/** Whether one of two paths is the end of the other. */
const endsWith = (a: string, b: string): boolean => a.endsWith(`/${b}`) || b.endsWith(`/${a}`);
