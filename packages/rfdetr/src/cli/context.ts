// What all commands share: output flags, console, checks of values, exit codes.
import { type NumberFormatName, numberFormatNames, numberFormats } from "@rfdetr/amp/names";
import { formatBytes } from "@rfdetr/amp/text";
import type { Command } from "commander";
import { variants } from "../model/variants.js";
import { precisionNames, precisionWords } from "../settings/precision-words.js";
import { decimal } from "../support/decimal.js";
import { secondsOf } from "../support/duration.js";
import { expected, UsageError } from "../support/errors.js";
import { either } from "../support/format.js";
import { largestSide } from "../support/shape.js";
import { suggest } from "../support/suggest.js";
import type { ReadOptions } from "../weights/types.js";
import { withValues } from "./completion/values.js";
import { Console } from "./console/console.js";

/** Exit codes of the command. docs/errors.md is made from the comments. */
export const exit = {
  /** It is done. */
  done: 0,
  /** It failed: an error says why. */
  failed: 1,
  /** An option, an argument or a setting is unknown, missing, contradicts another, or has a value it cannot have. */
  usage: 2,
  /** It is done except for what is named, such as one image of many that does not decode. */
  partial: 3,
  /** SIGHUP ended a training, which has saved a checkpoint. */
  hungUp: 129,
  /** Ctrl-C ended a training, which has saved a checkpoint. */
  interrupted: 130,
  /** SIGTERM, or the end of the npx that started it, ended a training, which has saved a checkpoint. */
  terminated: 143,
} as const;

/** What `--model` takes, for the help of the commands that have it. */
export const modelHelp =
  "nano, small, medium, base, large, …; seg-nano, seg-small, … find masks too; tiny and seg-tiny train on a CPU in minutes, to try things out";

/** Values of `--split`. */
export const splits = ["train", "valid", "test"] as const;

/** Values of `--number-format`. */
const formats = [...numberFormatNames, "none"] as const;

/** What `--number-format` takes, for the help of the commands that have it. */
export const numberFormatHelp = `number format to emulate in linear layers: ${either(formats)}`;

/** Values of flags that several commands have, for completion. */
export const flagValues = {
  model: { "--model": variants },
  device: { "--device": ["auto", "cpu", "cuda:0"] },
  precision: { "--precision": precisionNames },
  numberFormat: { "--number-format": formats },
} as const;

/** Flags that every command has. */
export interface OutputFlags {
  json?: boolean;
  plain?: boolean;
}

/** Adds the flags that every command has. */
export function withOutputFlags(command: Command): Command {
  return command.option("--json", "print JSON on stdout").option("--plain", "print for logs: no live line, no colours");
}

/** The console that the flags ask for. */
export function consoleOf(flags: OutputFlags): Console {
  return new Console({ json: flags.json ?? false, ...(flags.plain ? { plain: true } : {}) });
}

/**
 * Reads a number of the command line. Returns text that is not a number unchanged, so that the check of the flag can
 * name it.
 */
export function numeric(text: string): number | string {
  const number = decimal(text.trim());
  return Number.isFinite(number) ? number : text;
}

/** Reads a flag that is a length of time, in seconds. @throws UsageError */
export function duration(text: string): number {
  const seconds = secondsOf(text);
  if (seconds === null || seconds <= 0)
    throw new UsageError(`Expected a time such as 8h, 1h30m, 90m or 40s for time-budget but received ${text}`);
  return seconds;
}

/** Collects the values of a flag that may be repeated. */
export function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

/** Milliseconds between two lines of a log about a download. */
const logEvery = 10_000;

/**
 * The path of weights given as a file, as the folder of a run, or by the name of published ones. Shows the progress of
 * a download.
 * @param model the model that `coco` is for
 * @throws RfdetrError
 */
export async function weightsPath(console: Console, name: string, model?: string): Promise<string> {
  const { resolveWeights } = await import("../weights/published/published-weights.js");
  const shown = name === "coco" && model !== undefined ? `the COCO weights of ${model}` : name;
  let told = Number.NEGATIVE_INFINITY;
  const path = await resolveWeights(name, {
    ...(model === undefined ? {} : { model }),
    note: (message) => console.fact(message),
    progress: (done, total) => {
      const text = `downloading ${shown}: ${formatBytes(done)}${total === null ? "" : ` of ${formatBytes(total)}`}`;
      if (!console.plain) return console.live(text);
      if (performance.now() - told < logEvery) return;
      told = performance.now();
      console.progress(text);
    },
  });
  console.end();
  return path;
}

const classNumberings = ["auto", "from0", "from1"] as const;

/** Flags of commands that read weights. */
export interface WeightsFlags {
  classNumbering: string;
}

/** Adds the flag about the class numbers of weights. */
export function withWeightsFlags(command: Command): Command {
  const flag = "--class-numbering";
  const about = `label of the first class in a checkpoint of the Python package: ${either(classNumberings)}`;
  return withValues(command.option(`${flag} <from>`, about, "auto"), { [flag]: classNumberings });
}

/** How the flags say that weights are read. @throws UsageError */
export function reading(console: Console, flags: WeightsFlags): ReadOptions {
  const classNumbering = oneOf("class-numbering", flags.classNumbering, classNumberings);
  return {
    classNumbering,
    warn: (message) => console.warning(message.replaceAll("class_numbering", "--class-numbering")),
  };
}

/** Names the machine that is measured, and warns if other programs keep it busy. */
export async function showMachine(console: Console): Promise<void> {
  const { busyness, machineLine } = await import("../support/machine/machine.js");
  console.sentence(console.dim(machineLine()));
  const { text, busy } = busyness();
  if (busy) console.warning(text);
}

/** @throws RfdetrError unless `value` is a positive integer. */
export function positiveInteger(name: string, value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value > 0) return value;
  throw new UsageError(expected("positive integer", name, value));
}

/** @throws RfdetrError unless `value` is a port of this machine, 0 for any, or left out. */
export function checkPort(value: unknown): asserts value is number | undefined {
  if (value !== undefined && !(typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 65_536))
    throw new UsageError(`Expected a port from 0 to 65535 for port but received ${value}`);
}

/** @throws RfdetrError unless `value` is an integer of 0 or more. */
export function wholeNumber(name: string, value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new UsageError(expected("integer of 0 or more", name, value));
}

/**
 * Reads a flag that is the size of images: `384x640`, height first, or one side.
 * @throws UsageError
 */
export function shape(name: string, text: string): number | [height: number, width: number] {
  const [height, width, ...more] = text.split("x").map((side) => (/^\d+$/.test(side) ? Number(side) : 0));
  if (more.length > 0 || height === 0 || width === 0)
    throw new UsageError(`Expected one side, or height and width such as 384x640, for ${name} but received ${text}`);
  if (Math.max(height, width ?? 0) > largestSide)
    throw new UsageError(`Expected at most ${largestSide} pixels a side for ${name} but received ${text}`);
  return width === undefined ? height : [height, width];
}

/** @throws RfdetrError unless `value` is a number from 0 to 1. */
export function share(name: string, value: unknown): number {
  if (typeof value === "number" && value >= 0 && value <= 1) return value;
  throw new UsageError(expected("number from 0 to 1", name, value));
}

/** @throws RfdetrError unless `value` is one of the names. */
export function oneOf<T extends string>(name: string, value: unknown, names: readonly T[]): T {
  if (typeof value === "string" && (names as readonly string[]).includes(value)) return value as T;
  const word = typeof value === "string" ? value.toLowerCase() : "";
  const neighbour = Object.hasOwn(precisionWords, word) ? precisionWords[word] : undefined;
  const meant = names.find((each) => each === neighbour) ?? (word.length > 1 ? suggest(word, names) : undefined);
  throw new UsageError(
    `${expected(`one of ${names.join(", ")}`, name, value)}${meant === undefined ? "" : `: did you mean ${meant}?`}`,
  );
}

/** Reads `--number-format`: null for none, nothing where it is left out. @throws UsageError */
export function numberFormatOf({ numberFormat: name }: { numberFormat?: string }): {
  numberFormat?: NumberFormatName | null;
} {
  if (name === undefined) return {};
  const format = oneOf("number-format", name, formats);
  return { numberFormat: format === "none" ? null : format };
}

/** Says that linear layers are emulated, if they are. */
export function showNumberFormat(console: Console, name: NumberFormatName | null): void {
  if (name !== null) console.fact(`Linear layers are emulated in ${name}: ${numberFormats[name].about}`);
}

/** Values of `--precision`, and those in words. */
export { precisionNames as precisions };
export const precisionsInWords = either(precisionNames);
