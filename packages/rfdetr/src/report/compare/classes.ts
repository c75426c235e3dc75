// The classes of several runs side by side.
import type { ClassSummary } from "../../eval/coco/coco-summary.js";
import { type Html, html, nameOf, type Part } from "../html/html.js";
import { type Column, table } from "../html/table.js";
import { fraction } from "../html/words.js";
import type { RunRecord } from "../records/run-record.js";
import { alike, seedsDiffer } from "./facts.js";
import { sameData } from "./likeness.js";

/** Runs with their names. */
export interface Compared {
  runs: readonly RunRecord[];
  names: string[];
}

/** A figure; the best is bold, with a star. */
export const star = (isBest: boolean, text: string): Part => (isBest ? html`<b>${text} ★</b>` : text);

/**
 * AP of each class: by masks of the runs that have them, and by boxes of all.
 * @param anyOfMasks whether a run has masks, so that figures of boxes are called so
 */
export function classes(all: Compared, anyOfMasks: boolean): Html | null {
  const ofMasks = classScores(all, "Mask AP", ({ evaluation }) => evaluation?.masks?.per_class);
  const ofBoxes = classScores(all, anyOfMasks ? "Box AP" : "AP", ({ evaluation }) => evaluation?.per_class);
  return ofMasks === null && ofBoxes === null ? null : html`${ofMasks}${ofBoxes}`;
}

function classScores(
  { runs, names }: Compared,
  figure: string,
  classesOf: (run: RunRecord) => readonly ClassSummary[] | undefined,
): Html | null {
  const scores = runs.map(
    (run) => new Map((classesOf(run) ?? []).map(({ class_name, AP }) => [String(class_name), AP])),
  );
  const objects = new Map(
    runs.flatMap((run) => (classesOf(run) ?? []).map(({ class_name, instances }) => [String(class_name), instances])),
  );
  const all = [...new Set(scores.flatMap((each) => [...each.keys()]))];
  if (all.length === 0 || scores.filter(({ size }) => size > 0).length < 2) return null;
  const comparable = sameData(runs);
  const stars =
    "; the best is bold, with a star, where it is further above another than chance brings it on so many objects";
  return table(
    `${figure} of each class at ${evaluationWords(runs)}${comparable ? stars : ""}`,
    [
      { title: "class", cell: (name: string) => nameOf(name) },
      ...names.map(
        (title, i): Column<string> => ({
          title: nameOf(title),
          number: true,
          cell: (name) => {
            const values = scores.map((each) => each.get(name) ?? Number.NaN).filter(Number.isFinite);
            const value = scores[i].get(name) ?? null;
            const likeBest = (each: number): boolean =>
              alike(each, Math.max(...values), seedsDiffer(objects.get(name)));
            const isBest =
              comparable && value !== null && values.length > 1 && likeBest(value) && !values.every(likeBest);
            return star(isBest, fraction(value));
          },
        }),
      ),
    ],
    all,
  );
}

/** Which evaluation of each run the figures are of. */
function evaluationWords(runs: readonly RunRecord[]): string {
  const kept = runs.filter(({ bestDetails }) => bestDetails !== null).length;
  if (kept === 0) return "the last evaluation";
  return kept === runs.length ? "the best evaluation" : "the best evaluation, or the last where the best was not kept";
}
