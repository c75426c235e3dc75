// The classes of several runs side by side.
import type { ClassSummary } from "../../eval/coco/coco-summary.js";
import { type Html, html, nameOf, type Part } from "../html/html.js";
import { type Column, table } from "../html/table.js";
import { fraction } from "../html/words.js";
import type { RunRecord } from "../records/run-record.js";
import { sameData } from "./likeness.js";
import { judge, placesOf } from "./seeds.js";

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
    "; the runs of the best settings are bold, with a star, where seeds and so few objects do not explain the difference";
  const best = new Map(
    all.map((name) => {
      const values = scores.map((each) => defined(each.get(name)));
      return [name, comparable ? placesOf(judge(values, runs, objects.get(name))) : []];
    }),
  );
  return table(
    `${figure} of each class at ${evaluationWords(runs)}${comparable ? stars : ""}`,
    [
      { title: "class", cell: (name: string) => nameOf(name) },
      ...names.map(
        (title, i): Column<string> => ({
          title: nameOf(title),
          number: true,
          cell: (name) => star(best.get(name)?.includes(i) === true, fraction(scores[i].get(name))),
        }),
      ),
    ],
    all,
  );
}

/** Runs of early versions have −1 where nothing is defined. */
const defined = (value: number | null | undefined): number | null =>
  value === null || value === undefined || !(value >= 0) ? null : value;

/** Which evaluation of each run the figures are of. */
function evaluationWords(runs: readonly RunRecord[]): string {
  const kept = runs.filter(({ bestDetails }) => bestDetails !== null).length;
  if (kept === 0) return "the last evaluation";
  return kept === runs.length ? "the best evaluation" : "the best evaluation, or the last where the best was not kept";
}
