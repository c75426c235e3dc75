// Reads `summary.json` of a run.
import { existsSync } from "node:fs";
import { z } from "zod";
import { RfdetrError } from "../../support/errors.js";
import { fraction } from "../../support/files/schema-fault.js";
import type { RunDirectory, RunSummary } from "./run-directory.js";

const figure = fraction.nullable();
const count = z.number().int().nonnegative();
// Fields with a default are missing in runs of earlier versions.
const schema = z.looseObject({
  AP: figure,
  AP50: figure,
  mask_AP: figure.optional(),
  mask_AP50: figure.optional(),
  precision: z.string(),
  reason: z.string(),
  epochs: count,
  steps: count,
  skipped_steps: count,
  bad_images: count.default(0),
  train_seconds: z.number().nonnegative(),
  processes: count.default(1),
  peak_rss_bytes: z.number().nonnegative(),
  stop_reason: z.enum(["finished", "max_steps", "time_budget", "early_stopping", "callback", "interrupted", "failed"]),
  stop_message: z.string().optional(),
  best_epoch: count.nullable().default(null),
  error: z.string().nullable().default(null),
  started: z.string().nullable().default(null),
  versions: z.object({ rfdetr: z.string(), node: z.string(), libtorch: z.string() }).nullable().default(null),
});

/** The summary of a run; null where there is none, or it is damaged: it can be made again. */
export function readSummary(directory: RunDirectory): RunSummary | null {
  if (!existsSync(directory.file("summary.json"))) return null;
  try {
    return summaryOf(directory.readJson("summary.json"));
  } catch (error) {
    if (!RfdetrError.is(error)) throw error;
    return null;
  }
}

/** The summary that `summary.json` holds; null where it is not one. */
export function summaryOf(content: unknown): RunSummary | null {
  const { success, data } = schema.safeParse(content);
  return success ? data : null;
}
