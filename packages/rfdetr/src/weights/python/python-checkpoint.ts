// Reads checkpoints of the Python package: the weights, under the same keys as here, and the variant and sizes that
// they have.
import { type PickledTensor, PthFile, type Tensor } from "@rfdetr/torch";
import type { ModelConfig } from "../../model/types.js";
import { resolveModel, variantOfClass, variants } from "../../model/variants.js";
import { CheckpointError } from "../../support/errors.js";
import { faultOfSizes } from "../model-limits.js";
import { shapeFault, sizesOf } from "../read-safetensors.js";
import { stateShapes } from "../state-shapes.js";
import { type TrainingMetadata, trainingIn } from "../training-metadata.js";
import type { LoadedWeights, ReadOptions } from "../types.js";
import { adapterFits, isAdapter, mergeAdapters, plainKey } from "./lora.js";
import { fieldsOf, readClasses } from "./python-classes.js";
import { metadataKey } from "./python-export.js";

type Shapes = Map<string, number[]>;

const isTensor = (value: unknown): value is PickledTensor =>
  typeof value === "object" && value !== null && "storage" in value && "strides" in value;

/**
 * The weights: `model` in the package's own files, `state_dict` in those of Lightning; without the prefixes of
 * wrappers.
 */
function stateOf(content: Map<unknown, unknown>): Map<string, PickledTensor> {
  const model = content.get("model");
  const lightning = content.get("state_dict");
  const plain = [...content.values()].some(isTensor) ? content : undefined;
  const source = model instanceof Map ? model : lightning instanceof Map ? lightning : plain;
  const state = new Map<string, PickledTensor>();
  for (const [key, value] of source ?? []) {
    if (typeof key !== "string" || !isTensor(value)) continue;
    const bare =
      source === lightning ? key.replace(/^model\./, "").replace(/^_orig_mod\./, "") : key.replace(/^module\./, "");
    state.set(plainKey(bare), value);
  }
  return state;
}

/** Whether the sizes of the tensors are those of a variant. */
function matches(config: ModelConfig, shapes: Shapes): boolean {
  const has = (key: string, ...shape: number[]): boolean =>
    shapes.get(key)?.slice(0, shape.length).join() === shape.join();
  const encoder = "backbone.0.encoder.encoder";
  const { hiddenDim: d, caNheads, projectorScale, decNPoints } = config;
  return (
    has(
      `${encoder}.embeddings.patch_embeddings.projection.weight`,
      config.encoder.width,
      3,
      config.patchSize,
      config.patchSize,
    ) &&
    shapes.has(`${encoder}.encoder.layer.${config.encoder.layers - 1}.norm1.weight`) &&
    !shapes.has(`${encoder}.encoder.layer.${config.encoder.layers}.norm1.weight`) &&
    has("transformer.decoder.norm.weight", d) &&
    has(
      "transformer.decoder.layers.0.cross_attn.sampling_offsets.bias",
      caNheads * projectorScale.length * decNPoints * 2,
    ) &&
    has("transformer.decoder.layers.0.linear1.bias", config.dimFeedforward) &&
    shapes.has(`transformer.decoder.layers.${config.decLayers - 1}.norm1.weight`) &&
    !shapes.has(`transformer.decoder.layers.${config.decLayers}.norm1.weight`) &&
    shapes.has("segmentation_head.bias") === config.segmentationHead
  );
}

function configOf(path: string, shapes: Shapes, content: Map<unknown, unknown>): ModelConfig {
  if ([...shapes.keys()].some((key) => key.startsWith("keypoint_embed.")))
    throw new CheckpointError(`The checkpoint ${path} is of a keypoint model, which is not supported`);
  const classRows = shapes.get("class_embed.bias")?.[0];
  const queryRows = shapes.get("refpoint_embed.weight")?.[0];
  const positions = shapes.get("backbone.0.encoder.encoder.embeddings.position_embeddings")?.[1];
  if (classRows === undefined || queryRows === undefined || positions === undefined)
    throw new CheckpointError(
      `Expected the weights of RF-DETR in ${path} but class_embed, refpoint_embed or position_embeddings are missing`,
    );
  const positionalEncodingSize = Math.round(Math.sqrt(positions - 1));
  let groupDetr = 0;
  while (shapes.has(`transformer.enc_output.${groupDetr}.weight`)) groupDetr++;
  const told = [fieldsOf(content.get("model_config")), fieldsOf(content.get("args"))];
  const number = (name: string): number | undefined =>
    told.map((f) => f.get(name)).find((v) => typeof v === "number") as number | undefined;
  const name = content.get("model_name");
  const named = typeof name === "string" ? variantOfClass(name) : undefined;
  const fitting = variants.filter((variant) => matches(resolveModel(variant), shapes));
  // Medium and Large differ only in their resolution, and so in the size of the position table; so do some of the
  // models with masks, which also differ in their windows, and those leave no trace in the weights.
  const nearest = [...fitting].sort(
    (a, b) =>
      Math.abs(resolveModel(a).positionalEncodingSize - positionalEncodingSize) -
      Math.abs(resolveModel(b).positionalEncodingSize - positionalEncodingSize),
  );
  const variant = named !== undefined && fitting.includes(named) ? named : nearest[0];
  if (variant === undefined)
    throw new CheckpointError(`The checkpoint ${path} has the sizes of no known variant (${variants.join(", ")})`);
  const base = resolveModel(variant);
  const follows = base.positionalEncodingSize * base.patchSize === base.resolution;
  const config = sizesOf(path, () =>
    resolveModel(variant, {
      numClasses: classRows - 1,
      groupDetr,
      numQueries: queryRows / groupDetr,
      positionalEncodingSize,
      numWindows: number("num_windows"),
      ...(base.segmentationHead ? { maskDownsampleRatio: number("mask_downsample_ratio") } : {}),
      resolution: number("resolution") ?? (follows ? positionalEncodingSize * base.patchSize : base.resolution),
    }),
  );
  const fault = faultOfSizes(config);
  if (fault !== undefined) throw new CheckpointError(`The tensors of ${path} are of no model that can be: ${fault}`);
  return config;
}

/** The training of a checkpoint that this program wrote: the package's own files say nothing of it. */
function ownTraining(path: string, content: Map<unknown, unknown>): TrainingMetadata {
  const stored = content.get(metadataKey) ?? new Map();
  const isText = (value: unknown): value is string => typeof value === "string";
  if (!(stored instanceof Map) || ![...stored].flat().every(isText))
    throw new CheckpointError(`Expected a table of texts for ${metadataKey} in ${path}`);
  return trainingIn(path, Object.fromEntries(stored));
}

interface Description extends TrainingMetadata {
  content: Map<unknown, unknown>;
  state: Map<string, PickledTensor>;
  config: ModelConfig;
}

/** The content of a checkpoint, the weights in it, the model that they are of and, if it is known, its training. */
function describe(file: PthFile): Description {
  const { content, path } = file;
  if (!(content instanceof Map))
    throw new CheckpointError(`Expected a dictionary in ${path} but it holds something else`);
  const state = stateOf(content);
  const shapes = new Map([...state].filter(([key]) => !isAdapter(key)).map(([key, { shape }]) => [key, shape]));
  return { content, state, config: configOf(path, shapes, content), ...ownTraining(path, content) };
}

/**
 * Reads of what model and training a checkpoint is, without its tensors.
 * @throws CheckpointError, PthError, UnsafePickleError
 */
export function describeCheckpoint(path: string): Pick<Description, "config" | "trained" | "thresholds"> {
  const file = new PthFile(path);
  try {
    return describe(file);
  } finally {
    file.close();
  }
}

/**
 * Reads a `.pth`, `.pt` or `.ckpt` file of any 1.x version of the package. No code in the file is executed. Class i has
 * row i of the class heads, also where the file counts from 1.
 * @throws CheckpointError, PthError, UnsafePickleError
 */
export function readPythonCheckpoint(path: string, options: ReadOptions): LoadedWeights {
  const file = new PthFile(path);
  const tensors = new Map<string, Tensor>();
  try {
    const { content, state, config, trained, thresholds, extra, unknown } = describe(file);
    for (const sentence of unknown) options.warn?.(sentence);
    const wanted = stateShapes(config);
    const leftOver: string[] = [];
    for (const [key, stored] of state) {
      const shape = wanted.get(key);
      if (shape === undefined && !isAdapter(key)) {
        leftOver.push(key);
        continue;
      }
      if (shape === undefined && !adapterFits(key, stored.shape, wanted))
        throw new CheckpointError(`The adapter ${key} in ${path} fits no weight of ${config.variant}`);
      if (shape !== undefined && stored.shape.join() !== shape.join())
        throw shapeFault(path, config, key, stored.shape, shape);
      const tensor = file.read(key, stored);
      tensors.set(key, tensor);
      if (!tensor.isFloatingPoint)
        throw new CheckpointError(`Expected floating-point numbers for ${key} in ${path} but received ${tensor.dtype}`);
    }
    mergeAdapters(tensors);
    const classNames = readClasses(path, content, { tensors, numClasses: config.numClasses }, options);
    return { tensors, classNames, config, trained, thresholds, extra, leftOver };
  } catch (error) {
    for (const tensor of tensors.values()) tensor.dispose();
    throw error;
  } finally {
    file.close();
  }
}
