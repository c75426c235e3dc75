// The report of one run.
import { html, nameOf } from "./html/html.js";
import { type Chapter, page } from "./html/page.js";
import { numericsChapter } from "./numerics/chapter.js";
import { judgedByBest, judgedWords } from "./records/judged.js";
import type { RunRecord } from "./records/run-record.js";
import { classes, sizes } from "./sections/classes.js";
import { curves } from "./sections/curves.js";
import { errorAnalysis } from "./sections/errors.js";
import { endNotice, resultSentence, tiles, trainedOnWhat } from "./sections/overview.js";
import { pictures } from "./sections/pictures.js";
import { repeat } from "./sections/repeat.js";

/**
 * The report of a run as one HTML file that loads nothing. It has what the folder of the run has; chapters without
 * content are left out.
 * @example
 * import { writeFileSync } from "node:fs";
 * import { readRun, runReport } from "rfdetr/report";
 * writeFileSync("report.html", runReport(readRun("runs/birds")));
 */
export function runReport(record: RunRecord): string {
  const run = judgedByBest(record);
  const words = judgedWords(run);
  const all: { id: string; title: string; content: Chapter["content"] | null }[] = [
    { id: "run", title: "The run", content: trainedOnWhat(run) },
    { id: "curves", title: "Curves", content: curves(run) },
    { id: "classes", title: "Classes", content: judged(classes(run), words) },
    { id: "errors", title: "Errors", content: judged(errorAnalysis(run), words) },
    { id: "pictures", title: "Pictures", content: pictures(run) },
    { id: "numerics", title: "Numerics", content: numericsChapter(run) },
    { id: "repeat", title: "Repeat the run", content: repeat(run) },
    { id: "faults", title: "What could not be read", content: faults(run) },
  ];
  const bySize = sizes(run);
  const head = html`<p class="kind">Report of a training run</p>
<h1>${nameOf(run.name)}</h1>
<p class="lead">${resultSentence(run)}${bySize !== null && ` ${bySize} Figures by size are of ${words}.`}</p>
${endNotice(run)}
${tiles(run)}`;
  return page(
    `${run.name}: report of a training run`,
    head,
    all.filter((chapter): chapter is Chapter => chapter.content !== null),
  );
}

/** Says under the title of a chapter which weights it is of. */
function judged(content: Chapter["content"] | null, words: string): Chapter["content"] | null {
  return content === null ? null : html`<p>Figures of ${words}.</p>${content}`;
}

function faults({ faults }: RunRecord): Chapter["content"] | null {
  return faults.length === 0 ? null : html`<ul>${faults.map((fault) => html`<li>${fault}</li>`)}</ul>`;
}
