// Reads our own weights files. What the metadata says is checked against the shapes of the tensors before memory is
// taken for either.
import { dtypes, loadSafetensors, readSafetensorsHeader, type SafetensorsHeader } from "@rfdetr/torch";
import type { ModelConfig } from "../model/types.js";
import { resolveModel } from "../model/variants.js";
import { CheckpointError, ModelConfigError } from "../support/errors.js";
import { nameAll } from "./classes/class-names.js";
import { countFromZero } from "./classes/class-numbering.js";
import { some } from "./fit-weights.js";
import { faultOfSizes } from "./model-limits.js";
import { stateShapes } from "./state-shapes.js";
import { parsed, type TrainingMetadata, tableIn, trainingIn } from "./training-metadata.js";
import type { LoadedWeights, ReadOptions } from "./types.js";

/** The tensors that a file says it has, and the model and the training that its metadata describe. */
interface Description extends TrainingMetadata {
  entries: SafetensorsHeader["entries"];
  classNames: string[];
  config: ModelConfig;
}

/** Reads all but the tensors. @throws CheckpointError, SafetensorsError */
export function describeOwnWeights(path: string): Description {
  const { entries, metadata } = readSafetensorsHeader(path);
  const { variant, class_names: names, model_config: sizes, format: _, ...others } = metadata;
  if (variant === undefined || names === undefined)
    throw new CheckpointError(
      `Expected variant and class names in the metadata of ${path} but they are missing: write the file with rfdetr train or rfdetr convert`,
    );
  const classNames = namesIn(path, names);
  const config = configIn(path, variant, sizes, classNames.length);
  const beyond = classNames.length - config.numClasses;
  // COCO's 90 classes have ids up to 90, so that the last row is a class too.
  if (beyond !== 0 && beyond !== 1)
    throw new CheckpointError(
      `Expected ${config.numClasses} class names in the metadata of ${path} but received ${classNames.length}`,
    );
  return { entries, classNames, config, ...trainingIn(path, others) };
}

/** @throws CheckpointError, SafetensorsError */
export function readOwnWeights(path: string, { classNumbering, warn }: ReadOptions): LoadedWeights {
  const { entries, classNames, config, trained, thresholds, extra, unknown } = describeOwnWeights(path);
  for (const sentence of unknown) warn?.(sentence);
  const wanted = stateShapes(config);
  checkShapes(path, config, entries, wanted);
  const { tensors } = loadSafetensors(path, (name) => wanted.has(name));
  if (classNumbering === "from1") countFromZero(path, tensors, classNames.length);
  const leftOver = [...entries.keys()].filter((key) => !wanted.has(key));
  if (leftOver.length > 0) warn?.(`${path} has tensors that the model does not use: ${some(leftOver)}`);
  return { tensors, classNames: nameAll(classNames, config.numClasses), config, trained, thresholds, extra, leftOver };
}

function namesIn(path: string, text: string): string[] {
  const names = parsed(path, "class_names", text);
  const isText = (name: unknown): boolean => typeof name === "string" && name.length <= 1000;
  if (!Array.isArray(names) || names.length === 0 || !names.every(isText))
    throw new CheckpointError(`Expected a list of names for class_names in the metadata of ${path}`);
  return names;
}

function configIn(path: string, variant: string, text: string | undefined, numClasses: number): ModelConfig {
  const { variant: _, ...overrides } = tableIn<Partial<ModelConfig>>(path, "model_config", "sizes", text);
  const config = sizesOf(path, () => resolveModel(variant.slice(0, 100), { numClasses, ...overrides }));
  const fault = faultOfSizes(config);
  if (fault !== undefined) throw new CheckpointError(`The metadata of ${path} describe no model that can be: ${fault}`);
  return config;
}

/** The sizes that `resolve` gives; a {@link ModelConfigError} becomes one that names the file. */
export function sizesOf(path: string, resolve: () => ModelConfig): ModelConfig {
  try {
    return resolve();
  } catch (error) {
    if (!(error instanceof ModelConfigError)) throw error;
    throw new CheckpointError(`The weights ${path} are of no known model: ${error.message}`, { cause: error });
  }
}

/**
 * Checks the tensors of a file that a model has: shapes, and that they hold fractions.
 * @throws CheckpointError naming the first that differs
 */
function checkShapes(
  path: string,
  config: ModelConfig,
  entries: SafetensorsHeader["entries"],
  wanted: ReadonlyMap<string, readonly number[]>,
): void {
  for (const [key, shape] of wanted) {
    const found = entries.get(key);
    if (found === undefined) continue;
    if (!dtypes[found.dtype].floating)
      throw new CheckpointError(`Expected floating-point numbers for ${key} in ${path} but received ${found.dtype}`);
    if (found.shape.join() !== shape.join()) throw shapeFault(path, config, key, found.shape, shape);
  }
}

/** Tensor and sizes of a file contradict each other. */
export function shapeFault(
  path: string,
  config: ModelConfig,
  key: string,
  found: readonly number[],
  expected: readonly number[],
): CheckpointError {
  return new CheckpointError(
    `The weights ${path} do not fit ${config.variant} as the file describes it: ` +
      `${key} has the shape ${found.join("×")} instead of ${expected.join("×")}`,
  );
}
