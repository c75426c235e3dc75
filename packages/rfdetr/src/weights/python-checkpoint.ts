// Reads checkpoints of the Python package: the weights, under the same keys as here, and the variant and sizes that
// they have.
import { PickledObject, type PickledTensor, PthFile, type Tensor } from "@rfdetr/torch";
import { cocoClasses } from "../model/coco-classes.js";
import type { ModelConfig } from "../model/types.js";
import { resolveModel, variantOfClass, variants } from "../model/variants.js";
import { CheckpointError } from "../support/errors.js";
import { isAdapter, mergeAdapters, plainKey } from "./lora.js";

/** What a checkpoint holds. The tensors live until disposed. */
export interface PythonCheckpoint {
  tensors: Map<string, Tensor>;
  classNames: string[];
  config: ModelConfig;
  /** Entries that the detector does not use. */
  leftOver: string[];
}

type Shapes = Map<string, number[]>;

const isTensor = (value: unknown): value is PickledTensor =>
  typeof value === "object" && value !== null && "storage" in value && "strides" in value;

/** A dict, or the attributes of a namespace. */
const fields = (value: unknown): Map<unknown, unknown> =>
  value instanceof PickledObject ? value.attributes : value instanceof Map ? value : new Map();

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
    !shapes.has(`transformer.decoder.layers.${config.decLayers}.norm1.weight`)
  );
}

function configOf(path: string, shapes: Shapes, content: Map<unknown, unknown>): ModelConfig {
  if ([...shapes.keys()].some((key) => key.startsWith("segmentation_head.")))
    throw new CheckpointError(`The checkpoint ${path} is of a segmentation model; only detectors are supported`);
  if ([...shapes.keys()].some((key) => key.startsWith("keypoint_embed.")))
    throw new CheckpointError(`The checkpoint ${path} is of a keypoint model; only detectors are supported`);
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
  const told = [fields(content.get("model_config")), fields(content.get("args"))];
  const number = (name: string): number | undefined =>
    told.map((f) => f.get(name)).find((v) => typeof v === "number") as number | undefined;
  const name = content.get("model_name");
  const named = typeof name === "string" ? variantOfClass(name) : undefined;
  const fitting = variants.filter((variant) => matches(resolveModel(variant), shapes));
  // Medium and Large differ only in their resolution, and so in the size of the position table.
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
  return resolveModel(variant, {
    numClasses: classRows - 1,
    groupDetr,
    numQueries: queryRows / groupDetr,
    positionalEncodingSize,
    resolution: number("resolution") ?? (follows ? positionalEncodingSize * base.patchSize : base.resolution),
  });
}

/**
 * Class names, from where each version of the package keeps them. If there are none: COCO's for 90 classes, else
 * numbers.
 */
function classNamesOf(content: Map<unknown, unknown>, classes: number): string[] {
  for (const source of [fields(content.get("args")), content, fields(content.get("hyper_parameters"))]) {
    const found = source.get("class_names");
    const list = found instanceof Map ? [...found.values()] : found;
    if (Array.isArray(list) && list.length > 0 && list.every((name) => typeof name === "string"))
      return list.slice(0, classes + 1);
  }
  return classes === 90 ? [...cocoClasses] : Array.from({ length: classes }, (_, i) => `class ${i}`);
}

/**
 * Reads a `.pth`, `.pt` or `.ckpt` file of any 1.x version of the package. No code in the file is executed.
 * @throws CheckpointError, UnsafePickleError, RfdetrError `ERR_CHECKPOINT`
 */
export function readPythonCheckpoint(path: string): PythonCheckpoint {
  const file = new PthFile(path);
  try {
    if (!(file.content instanceof Map))
      throw new CheckpointError(`Expected a dictionary in ${path} but it holds something else`);
    const state = stateOf(file.content);
    // Empty buffer of newer versions, for keypoint models only.
    state.delete("_kp_active_mask");
    const shapes = new Map([...state].filter(([key]) => !isAdapter(key)).map(([key, { shape }]) => [key, shape]));
    const config = configOf(path, shapes, file.content);
    const tensors = new Map<string, Tensor>();
    const leftOver: string[] = [];
    for (const [key, stored] of state) {
      const tensor = file.read(key, stored);
      if (tensor.isFloatingPoint) tensors.set(key, tensor);
      else {
        leftOver.push(key);
        tensor.dispose();
      }
    }
    mergeAdapters(tensors);
    return { tensors, classNames: classNamesOf(file.content, config.numClasses), config, leftOver };
  } finally {
    file.close();
  }
}
