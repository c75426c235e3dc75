// The chapter on numerics: what the precision did in this run.
import { type Html, html } from "../html/html.js";
import type { RunRecord } from "../records/run-record.js";
import { exponents } from "./exponents.js";
import { faultsByPlace } from "./faults.js";
import { controls, foreseen } from "./foreseen.js";
import { headroomTree } from "./headroom-tree.js";
import { inShort } from "./in-short.js";
import { lossScale } from "./loss-scale.js";
import { memory } from "./memory.js";
import { overallOf } from "./overall.js";
import { precisionCost } from "./precision-cost.js";
import { processes } from "./processes.js";
import { time } from "./time.js";
import { updates } from "./updates.js";

/** The chapter; null for a run without records of its numerics. */
export function numericsChapter({ numerics, config }: RunRecord): Html | null {
  const { watched, header } = numerics;
  const overall = overallOf(numerics);
  const parts = [
    lossScale(numerics),
    faultsByPlace(numerics, config?.data?.path ?? null),
    foreseen(numerics),
    overall && headroomTree(overall, numerics),
    exponents(watched, overall?.narrow),
    overall && updates(overall, watched),
    memory(numerics),
    time(numerics),
    processes(numerics),
    precisionCost(header),
    controls(numerics),
  ].filter((part) => part !== null);
  if (parts.length === 0) return null;
  const unwatched =
    overall === null &&
    numerics.steps > 0 &&
    html`<p class="notice">No step was watched, so there is nothing on the modules. With <code>monitor_interval</code> auto or above 0 a run records their values on some steps.</p>`;
  return html`${inShort(numerics, overall)}${unwatched}${parts}`;
}
