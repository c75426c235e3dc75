// The classes of a checkpoint of the Python package: their names, and which row of the class heads each has.
import { PickledObject, type Tensor } from "@rfdetr/torch";
import { cocoClasses } from "../../model/coco-classes.js";
import { nameAll } from "../classes/class-names.js";
import { countFromZero, numberingOf, numberingWarning } from "../classes/class-numbering.js";
import type { ReadOptions } from "../types.js";

/** A dict, or the attributes of a namespace. */
export const fieldsOf = (value: unknown): Map<unknown, unknown> =>
  value instanceof PickledObject ? value.attributes : value instanceof Map ? value : new Map();

/** Keys that only checkpoints of 1.6 and later have. */
const modernKeys = ["pytorch-lightning_version", "state_dict", "model_config", "model_name", "rfdetr_version"];
const cocoNames = cocoClasses.filter((name) => name !== "unused");

const isNames = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length > 0 && value.every((name) => typeof name === "string" && name.length <= 1000);

/**
 * The class names, from where each version of the package keeps them. A dict gives the row of each name.
 * @returns an empty list if there are none
 */
function storedNames(content: Map<unknown, unknown>, rows: number): { names: string[]; placed: boolean } {
  for (const source of [fieldsOf(content.get("args")), content, fieldsOf(content.get("hyper_parameters"))]) {
    const found = source.get("class_names");
    if (isNames(found)) return { names: found.slice(0, rows), placed: false };
    if (!(found instanceof Map) || !isNames([...found.values()])) continue;
    const names = nameAll([], 0);
    for (const [id, name] of found)
      if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < rows) names[id as number] = name as string;
    if (names.length > 0) return { names: nameAll(names, names.length), placed: true };
  }
  return { names: [], placed: false };
}

/**
 * Reads the names of the classes, and moves the rows of the class heads where the file counts the classes from 1: class
 * i has row i then.
 * @returns a name for every class
 * @throws CheckpointError when the rows cannot be counted as `classNumbering` says
 */
export function readClasses(
  path: string,
  content: Map<unknown, unknown>,
  { tensors, numClasses }: { tensors: Map<string, Tensor>; numClasses: number },
  { classNumbering = "auto", warn }: ReadOptions,
): string[] {
  const args = fieldsOf(content.get("args"));
  const rows = numClasses + 1;
  const { names, placed } = storedNames(content, rows);
  const coco = names.join("\n") === cocoNames.join("\n") || (names.length === 0 && rows === 91);
  const [declared, dataset] = [args.get("num_classes"), args.get("dataset_file")];
  const version = content.get("rfdetr_version");
  const facts = {
    names: names.length,
    rows,
    declared: typeof declared === "number" ? declared : undefined,
    dataset: typeof dataset === "string" ? dataset : undefined,
    modern: modernKeys.some((key) => content.has(key)),
    version: typeof version === "string" ? version : undefined,
  };
  if (coco && rows === 91 && facts.declared !== rows) return [...cocoClasses];
  const told = { from: classNumbering, certain: true } as const;
  const numbering =
    told.from !== "auto"
      ? { from: told.from, certain: true }
      : placed
        ? ({ from: "from0", certain: true } as const)
        : numberingOf(facts);
  if (!numbering.certain) warn?.(numberingWarning(path, numbering, names));
  if (numbering.from === "from1") countFromZero(path, tensors, names.length);
  // Without names, a head of exactly the declared rows has no row for the background.
  if (names.length === 0) {
    warn?.(`The checkpoint ${path} does not name its classes: class 1 is the one with label 1 in its training data`);
    return nameAll([], facts.declared === rows ? rows : numClasses);
  }
  return nameAll(names, numClasses);
}
