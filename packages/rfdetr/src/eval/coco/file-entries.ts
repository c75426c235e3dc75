// Checks of the fields of COCO files, whose errors name the file and the entry.
import { isCrowd } from "../../data/formats/coco-json.js";
import { type Entry, isEntry, readId } from "../../data/formats/entries.js";
import { EvaluationError } from "../../support/errors.js";
import { shown } from "../../support/shown.js";

export const annotationSource = (path: string) =>
  new Source(path, "ERR_EVAL_ANNOTATIONS", (_, thing) => `add the ${thing} to the file or remove the annotation`);
export const resultSource = (path: string) =>
  new Source(
    path,
    "ERR_EVAL_RESULTS",
    (things) => `the results must be predictions for the same ${things} as the annotation file`,
  );

/** Checks of fields whose errors name the file. */
export class Source {
  constructor(
    readonly path: string,
    readonly code: "ERR_EVAL_ANNOTATIONS" | "ERR_EVAL_RESULTS",
    readonly remedy: (things: string, thing: string) => string,
  ) {}

  fail(message: string): EvaluationError {
    return new EvaluationError(this.code, message);
  }

  list(entries: unknown[], name: string): Entry[] {
    const wrong = entries.findIndex((entry) => !isEntry(entry));
    if (wrong >= 0)
      throw this.fail(
        `Expected an object for entry ${wrong} of ${name} in ${this.path} but received ${kind(entries[wrong])}`,
      );
    return entries as Entry[];
  }

  number(value: unknown, what: string): number {
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw this.fail(`Expected a finite number for the ${what} in ${this.path} but received ${kind(value)}`);
  }

  area(value: unknown, where: string): number {
    if (typeof value === "number" && value >= 0 && Number.isFinite(value)) return value;
    throw this.fail(
      `Expected a number from 0 for the area of ${where} in ${this.path} but received ${kind(value)}: correct it, or leave it out to take the area of the box`,
    );
  }

  crowd(value: unknown, where: string): boolean {
    const crowd = isCrowd(value);
    if (crowd !== undefined) return crowd;
    throw this.fail(`Expected 0 or 1 for the iscrowd of ${where} in ${this.path} but received ${kind(value)}`);
  }

  integer(value: unknown, what: string): number {
    const id = readId(value);
    if (typeof id === "number" && Number.isInteger(id)) return id;
    throw this.fail(`Expected an integer for the ${what} in ${this.path} but received ${kind(value)}`);
  }

  box(value: unknown, where: string): number[] {
    if (
      Array.isArray(value) &&
      value.length === 4 &&
      value.every((part) => typeof part === "number" && Number.isFinite(part))
    )
      return value;
    throw this.fail(
      `Expected four finite numbers [x, y, width, height] for the bbox of ${where} in ${this.path} but received ${kind(value)}`,
    );
  }

  lookUp(known: ReadonlyMap<number | string, number>, id: unknown, thing: "image" | "category", where: string): number {
    const found = known.get(readId(id) ?? "");
    if (found !== undefined) return found;
    const plural = thing === "image" ? "images" : "categories";
    throw this.fail(
      `Expected a known ${thing}_id for ${where} in ${this.path} but received ${kind(id)}, which is not among the ${known.size} ${plural} of the annotation file; ${this.remedy(plural, thing)}`,
    );
  }
}

/** A value as errors show it. */
export function kind(value: unknown): string {
  return typeof value === "number" ? String(value) : shown(value, 60);
}
