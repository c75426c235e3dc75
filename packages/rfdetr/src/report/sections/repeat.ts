// The command that repeats a run.
import { isDeepStrictEqual } from "node:util";
import { presetOf } from "../../settings/resolve.js";
import { settings as known, type SettingName } from "../../settings/settings.js";
import { startWeights } from "../../settings/start-weights.js";
import { shellWord } from "../../support/format.js";
import { camelCase } from "../../support/names.js";
import { type Html, html } from "../html/html.js";
import type { ReadConfig, RunRecord } from "../records/run-record.js";

/** Settings that the command takes with a flag of their own. */
const flags: Partial<Record<SettingName, string>> = {
  model: "model",
  epochs: "epochs",
  batch_size: "batch",
  grad_accum_steps: "accumulate",
  lr: "lr",
  precision: "precision",
  device: "device",
  resolution: "resolution",
  processes: "processes",
};
/** Settings that are given in another way, or not again: the new run gets a folder of its own. */
const apart: ReadonlySet<string> = new Set(["dataset_dir", "output_dir", "seed", "model"]);

/**
 * The words of the command that repeats a run: its settings where they are not the defaults, with the seed that was
 * used. Settings that this version does not have are left out.
 */
export function repeatWords({ settings, seed, data }: ReadConfig): string[] {
  const words = ["npx", "rfdetr", "train", "--data", data?.path ?? String(settings.dataset_dir ?? "")];
  const model = String(settings.model ?? known.model.fallback);
  words.push("--model", model);
  const preset = presetOf(model) as Record<string, unknown>;
  for (const name of Object.keys(known) as SettingName[]) {
    if (apart.has(name) || !Object.hasOwn(settings, name)) continue;
    const value = settings[name];
    const usual = name === "weights" ? startWeights(model) : (preset[camelCase(name)] ?? known[name].fallback);
    if (isDeepStrictEqual(value, JSON.parse(JSON.stringify(usual ?? null)))) continue;
    const flag = flags[name];
    if (name === "weights") words.push("--weights", String(value ?? "none"));
    else if (flag !== undefined && value !== null) words.push(`--${flag}`, String(value));
    else words.push("--set", `${name}=${textOf(value)}`);
  }
  if (seed !== undefined) words.push("--seed", String(seed));
  return words;
}

/** A value as `--set` reads it: JSON, and text as it is unless it would be read as JSON. */
function textOf(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value);
  try {
    JSON.parse(value);
    return JSON.stringify(value);
  } catch {
    return value;
  }
}

/** The chapter; null without a configuration. */
export function repeat({ config }: RunRecord): Html | null {
  if (config === null) return null;
  const versions = Object.entries(config.versions).map(([name, version]) => `${name} ${version}`);
  const place = html`On the same machine, with the same data${versions.length > 0 && ` and ${versions.join(", ")}`}, `;
  const timed = typeof config.settings.time_budget === "number";
  return html`<p>This command trains with the same settings and the same seed, in a new folder:</p>
<pre><code>${repeatWords(config).map(shellWord).join(" ")}</code></pre>
<p>${timed ? "A run with a time budget is planned by the clock: each has other weights." : html`${place}it gives the same weights to the bit.`} On other hardware, sums are rounded in another order, and the figures differ a little.</p>
${config.changes.length > 0 && html`<p>The run was continued ${config.changes.length === 1 ? "once" : `${config.changes.length} times`} with other settings or data, which one command cannot repeat: the settings are those of the end.</p>`}`;
}
