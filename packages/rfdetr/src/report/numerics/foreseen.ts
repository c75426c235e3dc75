// Overflows that were foreseen, and what was asked of the run while it trained.

import type { ControlRecord } from "../../run/files/numerics/numerics-records.js";
import { type Html, html, pathOf } from "../html/html.js";
import { subsection } from "../html/subsection.js";
import { table } from "../html/table.js";
import { bits, brief, counted, grouped } from "../html/words.js";
import type { NumericsRecord, SeenForecast } from "../records/numerics-record.js";

/** Forecasts that are listed, and the bits to overflow below which one is. */
const [mostShown, fewBits] = [20, 8];

/** Modules whose largest value grew towards the limit, and whether they came to it. */
export function foreseen(numerics: NumericsRecord): Html | null {
  const { forecasts, latest } = numerics;
  const rows = forecasts
    .map((forecast) => ({ ...forecast, reached: reachedAt(forecast, numerics) }))
    .filter(({ reached, headroom }) => reached !== null || headroom < fewBits)
    .sort((a, b) => Number(b.reached !== null) - Number(a.reached !== null) || a.steps - b.steps);
  if (forecasts.length === 0) return null;
  const others = forecasts.length - rows.length;
  const going = rows.some(({ last }) => last === latest?.step);
  return subsection(
    "Overflows that were foreseen",
    rows.length > 0 &&
      html`<p>A straight line through the last watched steps of these modules met the largest number of their dtype. It is a warning, not a certainty: most growth ends before.${going && " Those that were foreseen on the last watched step still grew at the end."}</p>`,
    rows.length > 0 && list(rows),
    others > 0 &&
      html`<p>${counted(others, rows.length > 0 ? "other module" : "module", rows.length > 0 ? "other modules" : "modules")} grew as steadily for a while, with ${fewBits} bits or more to go.</p>`,
  );
}

/** The step at which a module was not finite after that was foreseen; null where it never was. */
function reachedAt({ path, side, first }: SeenForecast, { overflows }: NumericsRecord): number | null {
  const wanted = side === "forward" ? "forward" : "backward";
  return (
    overflows.entries.find(({ module, phase, step }) => module === path && phase === wanted && step >= first)?.step ??
    null
  );
}

type Row = SeenForecast & { reached: number | null };

function list(rows: readonly Row[]): Html {
  return table(
    rows.length > mostShown ? `${mostShown} of ${grouped(rows.length)}` : "Modules that grew towards overflow",
    [
      { title: "module", cell: ({ path }: Row) => pathOf(path) },
      { title: "values", cell: ({ side, dtype }) => `${side === "forward" ? "outputs" : "gradients"}, ${dtype}` },
      { title: "first seen", number: true, cell: ({ first }) => `step ${grouped(first)}` },
      { title: "last seen", number: true, cell: ({ last }) => `step ${grouped(last)}` },
      { title: "bits left then", number: true, cell: ({ headroom }) => bits(headroom) },
      { title: "bits lost in 100 steps", number: true, cell: ({ bits_per_step }) => brief(bits_per_step * 100) },
      { title: "expected", number: true, cell: ({ last, steps }) => `step ${grouped(Math.round(last + steps))}` },
      { title: "came", number: true, cell: ({ reached }) => (reached === null ? "no" : `step ${grouped(reached)}`) },
    ],
    rows.slice(0, mostShown),
  );
}

const commandWords: Readonly<Record<string, string>> = {
  pause: "it was paused",
  "go-on": "it went on after a pause",
  stop: "it was asked to stop",
  override: "the precision of modules was set",
  undo: "the last change of precision was undone",
  lr: "the learning rate was changed",
};

const askedBy: Readonly<Record<string, string>> = { settings: " (as the settings ask)", callback: " (by a callback)" };

/** What was asked of the run while it trained. */
export function controls({ controls }: NumericsRecord): Html | null {
  if (controls.entries.length === 0) return null;
  const what = ({ command, pattern, rule }: ControlRecord): Html => {
    const of =
      pattern === undefined || rule === undefined ? null : html`: ${pathOf(String(pattern))} in ${String(rule)}`;
    return html`${commandWords[command] ?? command}${of}`;
  };
  const items = controls.entries.map((entry) => {
    const asked = askedBy[entry.by] ?? "";
    return html`<li>After step ${grouped(entry.step)}${asked}: ${what(entry)}.</li>`;
  });
  return subsection("Changes while it trained", html`<ul>${items}</ul>`);
}
