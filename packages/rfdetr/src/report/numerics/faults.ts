// What was not finite, in sentences: where, at which scale, and what followed.

import type { RollbackRecord } from "../../run/files/numerics/numerics-records.js";
import type { OverflowReport } from "../../train/measure/overflow-report.js";
import { type Html, html, nameOf, type Part, pathOf } from "../html/html.js";
import { subsection } from "../html/subsection.js";
import { table } from "../html/table.js";
import { brief, counted, grouped } from "../html/words.js";
import type { NumericsRecord, SkippedRun } from "../records/numerics-record.js";
import { evidence } from "./evidence.js";

/** Places that are shown, faults that each lists, and files that a batch names, at most. */
const most = { places: 20, faults: 12, files: 8 } as const;

/** A fault: skipped steps in a row, with what a second run of one of them found; either may be missing. */
interface Fault {
  step: number;
  run: SkippedRun | null;
  report: OverflowReport | null;
}

/** Every fault of the run, those at the same place together. */
export function faultsByPlace(numerics: NumericsRecord, dataFolder: string | null): Html | null {
  const { overflows, rollbacks, skippedRuns } = numerics;
  const faults = faultsOf(numerics);
  if (faults.length === 0 && rollbacks.total === 0) return null;
  const places = new Map<string, Fault[]>();
  for (const fault of faults) places.set(placeOfFault(fault), [...(places.get(placeOfFault(fault)) ?? []), fault]);
  const told = [...places.values()];
  const missing = overflows.total + skippedRuns.total > overflows.entries.length + skippedRuns.entries.length;
  return subsection(
    "What was not finite",
    missing && html`<p>From the first and the last faults of the run, which has more.</p>`,
    told.slice(0, most.places).map((faults) => tell(faults, dataFolder)),
    told.length > most.places && html`<p>And at ${counted(told.length - most.places, "other place")}.</p>`,
    rollbacks.entries.length > 0 && returns(rollbacks.total, rollbacks.entries),
  );
}

/** Skipped steps with the first report of them, and each further report by itself, in the order of the steps. */
function faultsOf({ overflows, skippedRuns }: NumericsRecord): Fault[] {
  const runOf = ({ step }: OverflowReport): SkippedRun | null =>
    skippedRuns.entries.find(({ first, last }) => first <= step && step <= last) ?? null;
  const reported = overflows.entries.map((report): Fault => ({ step: report.step, run: runOf(report), report }));
  const runs = new Set(reported.map(({ run }) => run));
  const others = skippedRuns.entries
    .filter((run) => !runs.has(run))
    .map((run): Fault => ({ step: run.first, run, report: null }));
  return [...reported, ...others].sort((a, b) => a.step - b.step);
}

/** Where a fault began, as a key. */
export const placeOf = ({ phase, module, operator }: OverflowReport): string =>
  JSON.stringify([phase, module, operator]);

function placeOfFault({ run, report }: Fault): string {
  if (report !== null) return placeOf(report);
  return JSON.stringify(["without a report", run?.bad_module, run?.bad_module === null ? run.fault : null]);
}

function tell(faults: readonly Fault[], dataFolder: string | null): Html {
  const [{ step, run, report }] = faults;
  const when =
    faults.length === 1
      ? `Step ${grouped(step)}`
      : `${counted(faults.length, "time")} from step ${grouped(step)} to ${grouped(faults[faults.length - 1].step)}`;
  return html`<div class="fault"><h4>${when}: ${headline(run, report)}</h4>
<p>${report !== null && where(report)}${faults.length === 1 && html` ${circumstances(faults[0])}`}</p>
${faults.length > 1 && list(faults)}
${report !== null && files(report.files, dataFolder)}
${report !== null && report.advice.length > 0 && html`<ul>${report.advice.map((advice) => html`<li>${advice}</li>`)}</ul>`}
${report !== null && evidence(report)}
</div>
`;
}

/** A module, or what is none, such as `the loss`, in plain words. */
const named = (place: string): Part => (place.includes(" ") ? place : pathOf(place));

function headline(run: SkippedRun | null, report: OverflowReport | null): Part {
  const place = report?.module ?? run?.bad_module ?? null;
  if (report?.phase === "none") return "a fault that a second try did not show";
  if (report?.phase === "backward")
    return html`a gradient was not finite${place !== null && html`, first at ${named(place)}`}`;
  if (place !== null) return html`${named(place)} was not finite`;
  if (run?.bad_parameter != null) return html`the gradient of ${pathOf(run.bad_parameter)} was not finite`;
  return run?.fault != null ? html`${run.fault} was not finite` : "the loss or a gradient was not finite";
}

function where(report: OverflowReport): Part {
  const place = report.module === null ? "a place without a name" : named(report.module);
  const made = report.operator === null ? null : html` (operator <code>${report.operator}</code>)`;
  const readers = report.readers.map((reader, i) => html`${i > 0 && ", "}${pathOf(reader)}`);
  switch (report.phase) {
    case "input":
      return html`The input ${place} was not finite before the model saw it.`;
    case "weight":
      return html`The weight ${place} was not finite: an earlier step destroyed it.`;
    case "target":
      return html`The loss was given boxes or labels that are not finite.`;
    case "loss":
      return html`The outputs of the model were finite, the loss computed from them was not${made}.`;
    case "backward":
      return html`Forward and loss were finite. In backward, the gradient at the output of ${place} was the first that was not${readers.length > 0 && html`; it came from ${readers}`}.`;
    case "forward":
      return html`The output of ${place}${made} was the first value that was not finite.`;
    default:
      return "The same batch with the same weights stayed finite when it ran again.";
  }
}

/** The loss scale of a fault, the parameter that it reached, and what followed, in sentences. */
function circumstances(fault: Fault): Html {
  const { run, report } = fault;
  const scale = scaleOf(fault);
  const parameter = report?.bad_parameter ?? run?.bad_parameter ?? null;
  const others = Number(report?.bad_parameters ?? 1) - 1;
  const more = others > 0 && `, and ${counted(others, "other")} too`;
  return html`${scale !== 1 && `The loss scale was ${brief(scale)}. `}${
    parameter !== null && html`The first parameter whose gradient was not finite is ${pathOf(parameter)}${more}. `
  }${followed(run)}`;
}

const scaleOf = ({ run, report }: Fault): number => report?.scale ?? run?.scale ?? 1;

function followed(run: SkippedRun | null): string {
  if (run === null) return "";
  const what =
    run.steps === 1 ? "The step changed nothing." : `${counted(run.steps, "step")} in a row changed nothing.`;
  if (run.next === null) return `${what} No step was applied after it.`;
  const scale = run.next.scale === 1 && run.scale === 1 ? "" : `, at a loss scale of ${brief(run.next.scale)}`;
  return `${what} Step ${grouped(run.next.step)} was applied again${scale}.`;
}

function list(faults: readonly Fault[]): Html {
  const shown =
    faults.length > most.faults ? [...faults.slice(0, most.faults / 2), ...faults.slice(-most.faults / 2)] : faults;
  const next = ({ run }: Fault): Part => {
    if (run === null) return "–";
    return run.next === null
      ? "none"
      : `step ${grouped(run.next.step)}${run.next.scale === 1 ? "" : `, scale ${brief(run.next.scale)}`}`;
  };
  return table(
    shown.length < faults.length ? `The first and the last ${most.faults / 2} times` : "Each time",
    [
      { title: "step", number: true, cell: ({ step }: Fault) => grouped(step) },
      { title: "loss scale", number: true, cell: (fault) => brief(scaleOf(fault)) },
      {
        title: "first parameter that was not finite",
        cell: ({ run, report }) => pathOf(report?.bad_parameter ?? run?.bad_parameter ?? "–"),
      },
      { title: "next step that was applied", cell: next },
    ],
    shown,
  );
}

/** @param dataFolder what the names of files need not repeat */
function files(paths: readonly string[], dataFolder: string | null): Html | null {
  if (paths.length === 0) return null;
  const short = (path: string): string =>
    dataFolder !== null && path.startsWith(`${dataFolder}/`) ? path.slice(dataFolder.length + 1) : path;
  const shown = paths.slice(0, most.files);
  const names = shown.map((path, i) => html`${i > 0 && ", "}${nameOf(short(path))}`);
  return html`<p>Images of the batch: ${names}${paths.length > shown.length && `, and ${paths.length - shown.length} more`}.</p>`;
}

function returns(total: number, entries: readonly RollbackRecord[]): Html {
  return html`<p>The run went back to a checkpoint ${counted(total, "time")}:</p>
<ul>${entries.map(({ step, to_step, lr_factor, fault }) => html`<li>From step ${grouped(step)} to the state after step ${grouped(to_step)}, because ${fault ?? "a value"} was not finite. Learning rates are ${brief(lr_factor)} times as large from there on.</li>`)}</ul>`;
}
