// The folders of the demo: its images and its run. Neither is ever removed, and what others made is never used.
import { existsSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { epochPlaces } from "../../data/loader/sampler.js";
import type { RunSummary } from "../../run/files/run-directory.js";
import { DataError, RunDirectoryError, UsageError } from "../../support/errors.js";
import { readJson } from "../../support/files/json.js";

/** Stored as `notes` of every run that the demo makes: it tells them from other runs of the same model. */
export const demoNotes = "made by rfdetr demo";

/** Where a demo run goes, and whether one that was interrupted goes on there. */
export interface DemoPlace {
  folder: string;
  resume: boolean;
}

/**
 * Chooses the folder of a demo run: `wanted`, or the first of `runs/emoji-demo`, `runs/emoji-demo-2`, … that is free
 * or holds a demo run of the same model on the same images that was interrupted.
 * @throws RunDirectoryError where `wanted` is neither
 */
export function demoPlace(wanted: string | undefined, data: string, model = "demo"): DemoPlace {
  for (let n = 1; ; n++) {
    const folder = wanted ?? join("runs", n === 1 ? "emoji-demo" : `emoji-demo-${n}`);
    if (isFree(folder)) return { folder, resume: false };
    if (isInterruptedDemo(folder, data, model)) return { folder, resume: true };
    if (wanted !== undefined)
      throw new RunDirectoryError(
        `Expected a new folder, or a demo run that was interrupted, but ${folder} is neither: nothing in it was changed`,
        { hint: "Choose another folder with `output_dir`" },
      );
  }
}

function isFree(folder: string): boolean {
  return !existsSync(folder) || (statSync(folder).isDirectory() && readdirSync(folder).length === 0);
}

function isInterruptedDemo(folder: string, data: string, model: string): boolean {
  if (!existsSync(join(folder, "checkpoint", "state.json"))) return false;
  const { settings } = (contentOf(join(folder, "config.json")) ?? {}) as { settings?: Record<string, unknown> };
  if (settings?.notes !== demoNotes || settings.model !== model) return false;
  if (typeof settings.dataset_dir !== "string" || resolve(settings.dataset_dir) !== resolve(data)) return false;
  const summary = contentOf(join(folder, "summary.json")) as Partial<RunSummary> | undefined;
  return summary === undefined || summary.stop_reason === "interrupted" || summary.stop_reason === "failed";
}

/** What was asked of the images. Where nothing was, those that are there already are used. */
export interface DemoImages {
  images?: number;
  seed?: number;
}

/**
 * Refuses images of an earlier version of the demo, which had no masks.
 * @throws UsageError
 */
export function checkMasks(folder: string): void {
  const file = join(folder, "train", "_annotations.coco.json");
  const { annotations } = (contentOf(file) ?? {}) as { annotations?: { segmentation?: unknown }[] };
  if (Array.isArray(annotations) && annotations.every(({ segmentation }) => segmentation !== undefined)) return;
  throw new UsageError(`Expected masks in ${file} but it has objects without: choose a new folder with --data`);
}

/**
 * The images of the demo that are in a folder already.
 * @returns their number and seed; null if there is no such folder
 * @throws DataError for a folder that the demo did not make, UsageError for images other than those asked for
 */
export function demoImages(folder: string, asked: DemoImages): Required<DemoImages> | null {
  if (!existsSync(folder)) return null;
  const content = contentOf(join(folder, "train", "_annotations.coco.json")) as {
    info?: { description?: unknown };
    images?: unknown[];
  };
  const seed = /^Synthetic emoji, seed (\d+)$/.exec(String(content?.info?.description))?.[1];
  if (seed === undefined || !Array.isArray(content.images))
    throw new DataError(`Expected a new folder, or images of the demo, but ${folder} holds something else`, {
      hint: "Choose another folder with `dataset_dir`",
    });
  const found = { images: content.images.length, seed: Number(seed) };
  for (const name of ["images", "seed"] as const)
    if (asked[name] !== undefined && asked[name] !== found[name])
      throw new UsageError(
        `Expected ${name} ${asked[name]} but ${folder} was made with ${name} ${found[name]}: leave it out, or choose another folder with --data`,
      );
  return found;
}

/** How many epochs hold so many steps. An epoch of few images has more steps than show each of them once. */
export function demoEpochs(images: number, batch: number, steps: number): number {
  return Math.ceil((steps * batch) / epochPlaces(images, batch));
}

/** The content of a JSON file; undefined if there is none that can be read. */
function contentOf(path: string): unknown {
  try {
    return readJson(path, (message) => new DataError(message));
  } catch {
    return undefined;
  }
}
