// Custom augmentations: functions of a module, which each thread that loads images imports by itself.
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { CustomCodeError, InternalError } from "../../support/errors.js";
import { sha256 } from "../../support/files/sha256.js";
import { reasonOf } from "../../support/files/system-error.js";
import type { Rng } from "../../support/random.js";
import { shown } from "../../support/shown.js";
import { isThenable } from "../../support/thenable.js";
import type { Sample } from "../images/geometry.js";
import { type Kind, kind } from "./parameters.js";

/**
 * An augmentation as a function: changes an image with its boxes, classes and, where the data has them, masks
 * (`encodeMask` and `decodeMask` of `rfdetr/masks` turn them to bits and back). It gets copies, which it may change and
 * return. The image keeps its size, and boxes stay inside; `keepInside` clips them. What is random must come from
 * `rng`, so that a run that is continued sees the same images: the first call of each thread is made twice, and both
 * must agree.
 * @example
 * export const dim: CustomAugmentation<{ least: number }> = (sample, rng, { least }) => {
 *   const light = rng.uniform(least, 1);
 *   return { ...sample, data: sample.data.map((value) => value * light) };
 * };
 */
export type CustomAugmentation<Options = unknown> = (
  sample: Sample,
  rng: Rng,
  options: Options,
) => Sample | Promise<Sample>;

/** A function of a module. */
export interface CustomFunction {
  /** Absolute path. */
  module: string;
  export: string;
}

/** The name of the augmentation in `aug_config`. */
export const customName = "Custom";

const loaded = new Map<string, CustomAugmentation>();
/** Functions that gave the same for the same in this thread. */
const repeatable = new Set<string>();
/** A function in messages. */
export const keyOf = ({ module, export: name }: CustomFunction): string => `${name} of ${module}`;

/** `{ Custom: { module, export, p, options } }` */
export const customKind: Kind = kind(
  1,
  { module: z.string().min(1), export: z.string().min(1).default("default"), options: z.json().optional() },
  (given) => {
    const custom = { module: pathOf(given.module), export: given.export };
    return (sample, rng, classes) => apply(custom, { sample, rng, options: given.options, classes: classes ?? null });
  },
);

/** The path of a module that is given by path or as a `file:` URL. */
export const pathOf = (module: string): string => resolve(/^file:/i.test(module) ? fileURLToPath(module) : module);

/**
 * Imports the functions, so that they can be applied. @throws CustomCodeError naming one that is not there
 */
export async function loadFunctions(functions: readonly CustomFunction[]): Promise<void> {
  for (const custom of functions) {
    if (loaded.has(keyOf(custom))) continue;
    const { module, export: name } = custom;
    let found: Record<string, unknown>;
    try {
      found = await import(pathToFileURL(module).href);
    } catch (error) {
      throw new CustomCodeError(
        `Expected a module with the augmentation ${name} but ${module} does not load: ${reasonOf(error)}`,
        {
          cause: error,
        },
      );
    }
    const made = found[name] ?? (found.default as Record<string, unknown> | undefined)?.[name];
    if (typeof made !== "function")
      throw new CustomCodeError(
        `Expected a function ${name} in ${module} but it exports ${Object.keys(found).join(", ") || "nothing"}`,
      );
    loaded.set(keyOf(custom), made as CustomAugmentation);
  }
}

/**
 * SHA-256 of the file of each module, by its path. What a module imports in turn is not in it.
 * @throws CustomCodeError
 */
export function hashModules(functions: readonly CustomFunction[]): Record<string, string> {
  return Object.fromEntries(
    functions.map(({ module }) => {
      if (!existsSync(module)) {
        const source = module.replace(/js$/, "ts");
        const remedy = source !== module && existsSync(source) ? `: compile ${source}` : "";
        throw new CustomCodeError(`Expected a module of augmentations but ${module} does not exist${remedy}`);
      }
      return [module, sha256(readFileSync(module))];
    }),
  );
}

interface Call {
  sample: Sample;
  rng: Rng;
  options: unknown;
  /** Number of the dataset's classes; null where it is not known. */
  classes: number | null;
}

function apply(custom: CustomFunction, { sample, rng, options, classes }: Call): Sample | Promise<Sample> {
  const key = keyOf(custom);
  const run = loaded.get(key);
  if (run === undefined) throw new InternalError(`Expected the augmentation ${key} to be loaded`);
  const call = (): Sample | Promise<Sample> => {
    try {
      const made = run(copy(sample), rng, options);
      if (!isThenable(made)) return checked(made, sample, classes, key);
      return Promise.resolve(made).then(
        (result) => checked(result, sample, classes, key),
        (error) => {
          throw failure(error, key);
        },
      );
    } catch (error) {
      throw failure(error, key);
    }
  };
  if (repeatable.has(key)) return call();
  const before = rng.state();
  const again = (first: Sample): Sample | Promise<Sample> => {
    rng.restore(before);
    const second = call();
    return isThenable(second) ? second.then((made) => same(first, made, key)) : same(first, second, key);
  };
  const first = call();
  return isThenable(first) ? first.then(again) : again(first);
}

const copy = ({ data, boxes, labels, masks, ...size }: Sample): Sample => ({
  ...size,
  ...(masks === undefined ? {} : { masks: masks.map((mask) => ({ ...mask, counts: new Uint32Array(mask.counts) })) }),
  data: new Uint8Array(data),
  boxes: new Float32Array(boxes),
  labels: new Int32Array(labels),
});

/** @throws CustomCodeError unless two results are equal */
function same(first: Sample, second: Sample, key: string): Sample {
  if (!isDeepStrictEqual(first, second))
    throw new CustomCodeError(
      `Expected the augmentation ${key} to give the same image for the same image and generator, but two calls differ`,
      { hint: "Draw every random number from the generator that it is given, and keep no state between calls" },
    );
  repeatable.add(key);
  return second;
}

/** What the function threw. A fault of the function must not count as one of the image, which would be left out. */
function failure(error: unknown, key: string): unknown {
  if (error instanceof CustomCodeError) return error;
  return new CustomCodeError(`The augmentation ${key} failed: ${reasonOf(error)}`, { cause: error });
}

/** @throws CustomCodeError naming what is wrong with a result */
function checked(result: unknown, given: Sample, classes: number | null, key: string): Sample {
  const fault =
    faultOf(result, given.width, given.height) ??
    labelFault((result as Sample).labels, classes) ??
    (given.masks === undefined ? null : maskFault(result as Sample));
  if (fault === null) return result as Sample;
  throw new CustomCodeError(`Expected ${fault.expected} from the augmentation ${key} but received ${fault.received}`);
}

function faultOf(result: unknown, width: number, height: number): { expected: string; received: string } | null {
  if (typeof result !== "object" || result === null)
    return { expected: "{ data, width, height, boxes, labels }", received: shown(result) };
  const { data, boxes, labels, ...size } = result as Partial<Sample>;
  const bytes = width * height * 3;
  if (size.width !== width || size.height !== height)
    return { expected: `the size that it was given, ${width}×${height},`, received: `${size.width}×${size.height}` };
  if (!(data instanceof Uint8Array) || data.length !== bytes)
    return {
      expected: `${bytes} bytes as data`,
      received: data instanceof Uint8Array ? `${data.length}` : shown(data),
    };
  if (!(boxes instanceof Float32Array) || !(labels instanceof Int32Array) || boxes.length !== labels.length * 4)
    return {
      expected: "a Float32Array of four numbers for each of an Int32Array of labels",
      received: `${boxes?.length} numbers and ${labels?.length} labels`,
    };
  for (let i = 0; i < boxes.length; i += 4) {
    const [left, top, right, bottom] = boxes.subarray(i, i + 4);
    const inside = left >= -0.5 && top >= -0.5 && right <= width + 0.5 && bottom <= height + 0.5;
    if (!(inside && left < right && top < bottom))
      return {
        expected: `boxes inside of ${width}×${height} pixels, none of them empty,`,
        received: shown([left, top, right, bottom]),
      };
  }
  return null;
}

/** A mask for each label, whose runs fill the image. */
function maskFault({ masks, labels, width, height }: Sample): { expected: string; received: string } | null {
  const expected = `masks of ${width}×${height} pixels, one for each of ${labels.length} labels,`;
  if (!Array.isArray(masks) || masks.length !== labels.length)
    return { expected, received: Array.isArray(masks) ? `${masks.length}` : shown(masks) };
  const odd = masks.findIndex(
    (mask) =>
      mask?.height !== height ||
      mask.width !== width ||
      !(mask.counts instanceof Uint32Array) ||
      mask.counts.reduce((sum, count) => sum + count, 0) !== width * height,
  );
  return odd < 0 ? null : { expected, received: `masks[${odd}]: ${shown(masks[odd])}` };
}

function labelFault(labels: Int32Array, classes: number | null): { expected: string; received: string } | null {
  const label = labels.find((value) => value < 0 || value >= (classes ?? Number.POSITIVE_INFINITY));
  if (label === undefined) return null;
  if (classes === null) return { expected: "labels of 0 or more", received: `${label}` };
  return { expected: `labels of 0 or more and below ${classes}, the number of classes,`, received: `${label}` };
}
