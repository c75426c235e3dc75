// Weights that the authors of RF-DETR publish, by name: from a cache folder or downloaded, and checked by their MD5.
import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { CheckpointError } from "../../support/errors.js";
import { hidden, orNearPath } from "../../support/files/near-path.js";
import { isFileError, isFull, reasonOf } from "../../support/files/system-error.js";
import {
  abortSignal,
  anyObject,
  callback,
  checkArgument,
  checkOptions,
  count,
  filePath,
  type OptionKinds,
  positive,
  text,
} from "../../support/options.js";
import { suggest } from "../../support/suggest.js";
import { download, type FetchOptions } from "./download.js";

/** A published file. */
export interface Published {
  /** Name in the cache folder. */
  file: string;
  /** Path below {@link publisher}. */
  path: string;
  md5: string;
}

const publisher = "https://storage.googleapis.com/rfdetr";

/**
 * By variant: the files and checksums of the Python package (`rfdetr.assets.model_weights`). All are under the Apache
 * License 2.0.
 */
export const publishedWeights: Readonly<Record<string, Published>> = {
  nano: {
    file: "rf-detr-nano.pth",
    path: "nano_coco/checkpoint_best_regular.pth",
    md5: "fb6504cce7fbdc783f7a46991f07639f",
  },
  small: {
    file: "rf-detr-small.pth",
    path: "small_coco/checkpoint_best_regular.pth",
    md5: "fb37061c1af7bace359c91b723a8d5c1",
  },
  medium: {
    file: "rf-detr-medium.pth",
    path: "medium_coco/checkpoint_best_regular.pth",
    md5: "7223f764a87b863f02eb8d52bf0ce2ee",
  },
  base: { file: "rf-detr-base.pth", path: "rf-detr-base-coco.pth", md5: "b4d3ce46099eaed50626ede388caf979" },
  "base-2": { file: "rf-detr-base-2.pth", path: "rf-detr-base-2.pth", md5: "462f4d9df407ddc1812f42614040e913" },
  "base-o365": {
    file: "rf-detr-base-o365.pth",
    path: "top-secret-1234/lwdetr_dinov2_small_o365_checkpoint.pth",
    md5: "d93f4921ccbb0f0a2e4364bed290892b",
  },
  large: { file: "rf-detr-large-2026.pth", path: "rf-detr-large-2026.pth", md5: "5cb72153541cbcb9aa6efa26222acc75" },
  "large-deprecated": { file: "rf-detr-large.pth", path: "rf-detr-large.pth", md5: "992c8e862aa733a7bb2777e45d49f1a0" },
  "seg-preview": {
    file: "rf-detr-seg-preview.pt",
    path: "rf-detr-seg-preview.pt",
    md5: "e35820c28fb86080558123e47a5e49ca",
  },
  "seg-nano": { file: "rf-detr-seg-nano.pt", path: "rf-detr-seg-n-ft.pth", md5: "9995497791d0ff1664a1d9ddee9cfd20" },
  "seg-small": { file: "rf-detr-seg-small.pt", path: "rf-detr-seg-s-ft.pth", md5: "0a2a3006381d0c42853907e700eadd08" },
  "seg-medium": {
    file: "rf-detr-seg-medium.pt",
    path: "rf-detr-seg-m-ft.pth",
    md5: "a49af1562c3719227ad43d0ca53b4c7a",
  },
  "seg-large": { file: "rf-detr-seg-large.pt", path: "rf-detr-seg-l-ft.pth", md5: "275f7b094909544ed2841c94a677d07e" },
  "seg-xlarge": {
    file: "rf-detr-seg-xlarge.pt",
    path: "rf-detr-seg-xl-ft.pth",
    md5: "3693b35d0eea86ebb3e0444f4a611fba",
  },
  "seg-2xlarge": {
    file: "rf-detr-seg-xxlarge.pt",
    path: "rf-detr-seg-2xl-ft.pth",
    md5: "040bc3412af840fa8a47e0ff69b552ba",
  },
};

/** How published weights are fetched. */
export interface DownloadOptions extends FetchOptions {
  /** Model whose published weights `coco` is the name of. */
  model?: string;
  /** URL of a mirror to use instead of the publisher. Default: the environment variable RFDETR_WEIGHTS_URL. */
  mirror?: string;
  /** Default: {@link weightsFolder}. */
  folder?: string;
  /** Default: {@link publishedWeights}. */
  published?: Readonly<Record<string, Published>>;
  /** Called with what a user should know: that a run has no best weights. */
  note?: (message: string) => void;
}

const downloadOptions: OptionKinds<DownloadOptions> = {
  model: text,
  mirror: text,
  folder: text,
  published: anyObject,
  note: callback,
  progress: callback,
  signal: abortSignal,
  limit: count,
  stall: positive,
};

/**
 * The cache folder, which is that of the Python package, so that nothing is downloaded twice: `$RF_HOME`, else
 * `$ROBOFLOW_HOME`, else `~/.roboflow/models`.
 * @internal for tests
 */
export function weightsFolder(): string {
  return process.env.RF_HOME || process.env.ROBOFLOW_HOME || join(homedir(), ".roboflow", "models");
}

/** The entry for a variant's name, or for a file name of the Python package. */
function entryOf(name: string, published: Readonly<Record<string, Published>>): Published | undefined {
  return Object.hasOwn(published, name) ? published[name] : Object.values(published).find(({ file }) => file === name);
}

/**
 * The path of a weights file. The folder of a run, or a folder in it, becomes the path of its best weights, else of its
 * last. A published name (`nano`, or `rf-detr-nano.pth` if there is no such file) becomes the path of its file in the
 * cache folder; the file is downloaded if it is not there. An interrupted download continues where it stopped. `coco`
 * is what is published for `options.model`. Anything else is a path.
 * @throws CheckpointError if there is no such file (with the path or name that was probably meant), if the file cannot
 * be downloaded, or is not the published one
 */
export async function resolveWeights(name: string, options: DownloadOptions = {}): Promise<string> {
  checkArgument("weights", name, filePath);
  checkOptions("resolveWeights", options, downloadOptions);
  const published = options.published ?? publishedWeights;
  if (name === "coco") return cached(String(options.model), cocoOf(options.model, published), options);
  const entry = entryOf(name, published);
  const found = existsSync(name) ? statSync(name) : undefined;
  if (found?.isDirectory() && (entry === undefined || existsSync(join(name, "weights"))))
    return weightsOfRun(name, options);
  if (found !== undefined && !found.isDirectory()) return name;
  if (entry === undefined) {
    const reason = hidden(name);
    if (reason !== null) throw new CheckpointError(`The weights ${name} cannot be read: ${reason}`);
    const variant = suggest(name, Object.keys(published));
    const kinds = ": expected a file, the folder of a run, or a published name such as nano";
    const meant = orNearPath(name) || (variant === undefined ? kinds : `: did you mean ${variant}?`);
    throw new CheckpointError(`The weights ${name} do not exist${meant}`);
  }
  return cached(name, entry, options);
}

/** The entry that `coco` means. @throws CheckpointError where nothing is published for the model */
function cocoOf(model: string | undefined, published: Readonly<Record<string, Published>>): Published {
  if (model !== undefined && Object.hasOwn(published, model)) return published[model];
  throw new CheckpointError(
    `Expected a file or the name of published weights but received coco${model === undefined ? "" : ` for ${model}`}: the names are ${Object.keys(published).join(", ")}`,
  );
}

/** Where a published file is kept, and where it comes from. */
function placeOf(entry: Published, options: DownloadOptions): { folder: string; path: string; url: string } {
  const folder = options.folder ?? weightsFolder();
  const url = `${options.mirror ?? process.env.RFDETR_WEIGHTS_URL ?? publisher}/${entry.path}`;
  return { folder, path: join(folder, entry.file), url };
}

/** Published weights that are not in the cache folder: where they come from, and where they would be put. */
export interface MissingWeights {
  url: string;
  path: string;
}

/**
 * What {@link resolveWeights} would have to download; null where it would not.
 * @throws CheckpointError for `coco` where nothing is published for the model
 */
export function missingWeights(name: string, options: DownloadOptions = {}): MissingWeights | null {
  const published = options.published ?? publishedWeights;
  const isCoco = name === "coco";
  const entry = isCoco ? cocoOf(options.model, published) : existsSync(name) ? undefined : entryOf(name, published);
  if (entry === undefined) return null;
  const { path, url } = placeOf(entry, options);
  return existsSync(path) ? null : { url, path };
}

/** The path of a published file in the cache folder, where it is downloaded to. @throws CheckpointError */
async function cached(name: string, entry: Published, options: DownloadOptions): Promise<string> {
  const { folder, path, url } = placeOf(entry, options);
  if (existsSync(path)) {
    const md5 = await md5Of(path);
    if (md5 === entry.md5) return path;
    throw new CheckpointError(
      `The weights ${path} are not those published as ${name} (MD5 ${md5} instead of ${entry.md5}): ` +
        "remove the file to download them again, or give its path to use it unchanged",
    );
  }
  const forTraining = options.model === undefined ? "" : ", or set weights to none, which starts from random weights";
  try {
    mkdirSync(folder, { recursive: true });
    await download(url, path, options, async (temporary) => {
      const md5 = await md5Of(temporary);
      if (md5 !== entry.md5)
        throw new CheckpointError(
          `The download of ${name} from ${url} is not the published file (MD5 ${md5} instead of ${entry.md5}): ` +
            `try again, or put the right file at ${path}`,
        );
      renameSync(temporary, path);
    });
  } catch (error) {
    if (options.signal?.aborted || error instanceof CheckpointError) throw error;
    if (isFileError(error))
      throw new CheckpointError(
        `The weights ${name} cannot be written to ${folder}: ${reasonOf(error)}; ${isFull(error) ? "free some space there, or " : ""}name another folder in RF_HOME${forTraining}`,
        { cause: error },
      );
    throw new CheckpointError(
      `The weights ${name} could not be downloaded from ${url} (${reason(error)}): put the file at ${path}, ` +
        `or name a mirror in RFDETR_WEIGHTS_URL${forTraining}`,
      { cause: error },
    );
  }
  return path;
}

/** The best weights of a run, or its last if none were evaluated. @throws CheckpointError */
function weightsOfRun(folder: string, { note }: DownloadOptions): string {
  const run = ["weights", "checkpoint"].includes(basename(folder)) ? dirname(folder) : folder;
  const [best, last] = ["best", "last"].map((name) => join(run, "weights", `${name}.safetensors`));
  if (existsSync(best)) return best;
  const reason = hidden(dirname(best));
  if (reason !== null) throw new CheckpointError(`The weights of ${run} cannot be read: ${reason}`);
  if (!existsSync(last))
    throw new CheckpointError(
      `Expected weights in ${run} but found neither weights/best.safetensors nor weights/last.safetensors: give a file, or the folder of a run`,
    );
  note?.(`The run ${run} has no best weights: its last are taken`);
  return last;
}

async function md5Of(path: string): Promise<string> {
  const hash = createHash("md5");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** Message of the innermost cause: fetch wraps the error that says what happened. */
function reason(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  return inner instanceof Error ? inner.message || (inner as NodeJS.ErrnoException).code || inner.name : String(inner);
}
