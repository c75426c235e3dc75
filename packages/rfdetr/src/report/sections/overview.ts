// What was trained on what, and how it ended.
import type { Overrides } from "@rfdetr/amp";
import { lowPrecisionOf, type Precision } from "@rfdetr/amp/names";
import { formatBytes } from "@rfdetr/amp/text";
import { type CocoSummary, mainFigures } from "../../eval/coco/coco-summary.js";
import { mainColumns } from "../../eval/figures/main-columns.js";
import { endInWords } from "../../run/transcript/ending.js";
import { randomWeightsAdvice } from "../../run/transcript/header.js";
import { ofPlan } from "../../run/transcript/progress-words.js";
import { overridesAt, precisionChanges } from "../../settings/precision-changes.js";
import { type Html, html, nameOf, type Part, pathOf } from "../html/html.js";
import { definitions } from "../html/table.js";
import { counted, duration, fraction, grouped } from "../html/words.js";
import type { ReadConfig, RunRecord } from "../records/run-record.js";

/** The most of a text setting. */
const text = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

/** The figures of the best epoch. */
export interface BestEpoch {
  epoch: number | null;
  /** Of the masks where the run has them, otherwise of the boxes. */
  AP: number;
  AP50: number | null;
  /** Stands before the names of these two. */
  of: "" | "mask ";
  /** AP and AP50 of the boxes where the others are of masks; otherwise null. */
  boxes: { AP: number | null; AP50: number | null } | null;
}

/** The best row of metrics.csv by AP, the last of those that found nothing; null without any figure. */
export function bestEpoch({ metrics, summary }: RunRecord): BestEpoch | null {
  const isBetter = (AP: number, most: number): boolean => AP > most || (AP === 0 && most === 0);
  const main = mainColumns(metrics.columns);
  const rows = metrics.rows.filter((row) => Number.isFinite(row[main.AP] ?? Number.NaN));
  const chosen = rows.find((row) => row.epoch === summary?.best_epoch);
  const best =
    chosen ??
    rows.reduce<(typeof rows)[number] | null>(
      (most, row) => (isBetter(row[main.AP] ?? 0, most?.[main.AP] ?? -1) ? row : most),
      null,
    );
  if (best !== null) {
    const boxes = main.of === "" ? null : { AP: best["val/AP"] ?? null, AP50: best["val/AP50"] ?? null };
    return { epoch: best.epoch, AP: best[main.AP] ?? 0, AP50: best[main.AP50] ?? null, of: main.of, boxes };
  }
  if (summary === null) return null;
  const { best_epoch: epoch, AP, AP50, mask_AP: maskAP, mask_AP50: maskAP50 = null } = summary;
  if (maskAP != null) return { epoch, AP: maskAP, AP50: maskAP50, of: "mask ", boxes: { AP, AP50 } };
  return AP === null ? null : { epoch, AP, AP50, of: "", boxes: null };
}

/** The result in one sentence. */
export function resultSentence(run: RunRecord): Html {
  const { config, numerics, metrics } = run;
  const best = bestEpoch(run);
  const model = text(config?.settings.model) ?? "The model";
  const epochs = metrics.rows.at(-1)?.epoch ?? 0;
  const precision = run.numerics.header?.precision ?? config?.precision ?? null;
  const trained = html`${nameOf(model)}${config?.data !== undefined && ` trained on ${counted(config.data.train.images, "image")}`}${epochs > 0 ? ` for ${counted(epochs, "epoch")}` : numerics.lastStep > 0 && ` for ${counted(numerics.lastStep, "step")}`}${precision !== null && ` in ${precision}`}`;
  if (best === null) return html`${trained}${config?.data === undefined && " trained"}, without an evaluation so far.`;
  const { of } = best;
  if (best.AP === 0 && (best.boxes?.AP ?? 0) === 0)
    return html`${trained} has <b>${of}AP 0</b>: no detection was right so far.`;
  const boxes = best.boxes !== null && html`, with box AP ${fraction(best.boxes.AP)},`;
  const also = best.AP50 !== null && html` and <b>${of}AP50 ${fraction(best.AP50)}</b>`;
  const epoch = best.epoch !== null && ` at epoch ${best.epoch}`;
  return html`${trained} reached <b>${of}AP ${fraction(best.AP)}</b>${also}${boxes}${epoch}.`;
}

/** How the run ended, where that is not simply its end; null for a run that finished. */
export function endNotice({ state, summary, numerics }: RunRecord): Html | null {
  if (state === "running")
    return html`<div class="notice"><p>The run was still in progress when this report was made: it has its figures up to ${whereItIs(numerics)}.</p></div>`;
  if (summary === null)
    return html`<div class="notice"><p>The run was broken off after step ${grouped(numerics.lastStep)}: its process ended without saying how. It can be continued from its last checkpoint.</p></div>`;
  if (summary.stop_reason === "failed")
    return html`<div class="notice bad"><p><b>The run failed after step ${grouped(summary.steps)}.</b> ${summary.error ?? "It did not say why."}</p></div>`;
  if (summary.stop_reason === "interrupted")
    return html`<div class="notice"><p>The run was stopped after step ${grouped(summary.steps)}. It can be continued from there.</p></div>`;
  return null;
}

/** The last step of a run, as the console has it. */
function whereItIs({ lastStep, progress }: RunRecord["numerics"]): string {
  if (progress === null) return `step ${grouped(lastStep)}`;
  const { epoch, planned_epochs: epochs, total_steps: steps } = progress;
  return `step ${ofPlan(lastStep, epochs === null ? null : steps)}, in epoch ${ofPlan(epoch, epochs)}`;
}

/** The figures in short. */
export function tiles(run: RunRecord): Html {
  const { summary, numerics, metrics } = run;
  const best = bestEpoch(run);
  const seconds = summary?.train_seconds ?? metrics.rows.at(-1)?.train_seconds ?? null;
  const rss = summary?.peak_rss_bytes ?? metrics.rows.at(-1)?.peak_rss_bytes ?? null;
  const entries: [string, string][] = [
    ...(best === null
      ? []
      : ([
          [fraction(best.AP), `${best.of}AP`],
          [fraction(best.AP50), `${best.of}AP50`],
          ...(best.boxes === null ? [] : [[fraction(best.boxes.AP), "box AP"]]),
        ] as [string, string][])),
    ...(run.test === null ? [] : [testTile(run.test)]),
    [grouped(numerics.lastStep || (summary?.steps ?? 0)), "optimizer steps"],
    [grouped(numerics.steps > 0 ? numerics.skipped : (summary?.skipped_steps ?? 0)), "skipped steps"],
    ...(seconds === null ? [] : [[duration(seconds), "training time"] as [string, string]]),
    ...(rss === null
      ? []
      : [
          [
            formatBytes(rss),
            `peak memory of ${processesOf(run) > 1 ? "rank 0" : "the process"}${summary === null ? " so far" : ", whole run"}`,
          ] as [string, string],
        ]),
  ];
  return html`<ul class="tiles">${entries.map(([value, name]) => html`<li><b>${value}</b><span>${name}</span></li>`)}</ul>`;
}

function testTile(test: CocoSummary): [string, string] {
  return [fraction(mainFigures(test).AP), `${test.masks === undefined ? "" : "mask "}AP on the test split`];
}

function randomWeights({ settings, data }: ReadConfig): string {
  const advice =
    data === undefined
      ? null
      : randomWeightsAdvice({ model: String(settings.model), trainImages: data.train.images }, "--weights");
  return `random weights: nothing was learned before${advice === null ? "" : `. ${advice}`}`;
}

/** Processes that trained a run last. */
function processesOf({ summary, config }: RunRecord): number {
  return summary?.processes ?? Number(config?.settings.processes ?? 1);
}

/** The rules of modules; none in a precision without casts, where `Autocast` reads no rule. */
function actingOverrides(precision: string | null, overrides: Readonly<Record<string, unknown>>): [string, unknown][] {
  return lowPrecisionOf[precision as Precision] === null ? [] : Object.entries(overrides);
}

/** A rule; with what it came to on a machine that has no units for it. */
const ruleWords = (rule: unknown, header: RunRecord["numerics"]["header"]): string =>
  rule === "bf16x3" && header?.splits === false
    ? "bf16x3 (forward in float32, as this machine has no units for it)"
    : String(rule);

/** What was trained on what. */
export function trainedOnWhat(run: RunRecord): Html | null {
  const { config, summary, numerics } = run;
  if (config === null) return null;
  const { settings, data, versions, class_names: classes } = config;
  const header = numerics.header;
  const weights = text(settings.weights);
  const changes = precisionChanges.safeParse(settings.precision_changes ?? []).data ?? [];
  const atStart = (header?.overrides ?? {}) as Overrides;
  const atEnd = overridesAt({ precisionOverrides: atStart, precisionChanges: changes }, numerics.lastStep + 1);
  const overrides = actingOverrides(header?.precision ?? config.precision ?? null, atEnd);
  const started = config.started ?? summary?.started ?? null;
  const lost = summary?.bad_images ?? 0;
  return definitions([
    ["Model", modelWords(config)],
    ["Weights at the start", weights === null ? randomWeights(config) : pathOf(weights)],
    [
      "Data",
      data === undefined
        ? pathOf(String(settings.dataset_dir ?? ""))
        : html`${pathOf(data.path)}: ${counted(data.train.images, "image")} with ${counted(data.train.objects, "object")} to train on, ${counted(data.valid.images, "image")} with ${counted(data.valid.objects, "object")} to evaluate on`,
    ],
    ["Images left out", lost > 0 ? `${counted(lost, "image")} did not decode` : null],
    ["Classes", classes.length === 0 ? null : classWords(classes)],
    [
      "Precision",
      precisionWords(header?.precision ?? config.precision ?? null, header?.reason ?? config.reason ?? null),
    ],
    ["Precision of evaluations", evaluationWords(header?.precision ?? config.precision ?? null, settings)],
    ["Note on the precision", header?.note ?? null],
    [
      "Modules of their own precision",
      overrides.length === 0
        ? null
        : html`${overrides.map(([pattern, rule], i) => html`${i > 0 && ", "}${pathOf(pattern)} in ${ruleWords(rule, header)}${atStart[pattern] !== rule && ", set while it trained"}`)}`,
    ],
    ["Processes", processesOf(run) > 1 ? String(processesOf(run)) : null],
    ["Hardware", config.hardware ?? header?.hardware ?? null],
    [
      "Software",
      Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(", "),
    ],
    ["Seed", config.seed === undefined ? null : String(config.seed)],
    ["Started", started === null ? null : started.slice(0, 16).replace("T", " ").concat(" UTC")],
    ["End", summary === null ? null : endInWords(summary)],
    [
      "Continued",
      config.changes.length === 0
        ? null
        : html`${config.changes.map(
            ({ step, settings }, i) =>
              html`${i > 0 && "; "}after step ${grouped(step)} with ${
                Object.entries(settings)
                  .map(([name, [before, now]]) => `${name} ${JSON.stringify(now)} instead of ${JSON.stringify(before)}`)
                  .join(", ") || "other data"
              }`,
          )}`,
    ],
    ["Folder", pathOf(run.folder)],
  ]);
}

function sizeInWords(resolution: unknown): string | null {
  const sides = typeof resolution === "number" ? [resolution, resolution] : resolution;
  return Array.isArray(sides) ? `${sides.join(" × ")} pixels` : null;
}

function modelWords({ settings, model_config: sizes }: NonNullable<RunRecord["config"]>): Part {
  const model = text(settings.model) ?? text(sizes.variant);
  if (model === null) return null;
  const facts = [
    sizeInWords(sizes.resolution),
    typeof sizes.numQueries === "number" ? `${sizes.numQueries} queries` : null,
    typeof sizes.decLayers === "number" ? `${sizes.decLayers} decoder layers` : null,
  ].filter((fact) => fact !== null);
  return html`${nameOf(model)}${facts.length > 0 && `, ${facts.join(", ")}`}`;
}

function classWords(names: readonly string[]): Html {
  const shown = names.slice(0, 12);
  return html`${names.length}: ${shown.map((name, i) => html`${i > 0 && ", "}${nameOf(name)}`)}${names.length > shown.length && `, and ${names.length - shown.length} more`}`;
}

function precisionWords(precision: string | null, reason: string | null): Part {
  if (precision === null) return null;
  return html`<b>${precision}</b>${reason !== null && `: ${reason}`}`;
}

/** In which precision the run evaluated. */
function evaluationWords(precision: string | null, settings: ReadConfig["settings"]): string | null {
  if (settings.fp16_eval === true) return "16-mixed, with norm layers in float32, as fp16_eval asks";
  return precision === null
    ? null
    : `${precision}, as in training${precision === "32-true" ? "" : "; scores and boxes are computed from outputs in float32"}`;
}
