// How a checkpoint numbers its classes. rfdetr 1.0 to 1.4 took the category ids of COCO files as labels; those of
// Roboflow exports begin at 1, since 0 is a category that groups the others. Up to 1.9.1 the grouping category kept a
// label of its own. Files of YOLO datasets, and all files since 1.9.2, count from 0.
import { keep, noGrad, ops, scope, type Tensor, tensor } from "@rfdetr/torch";
import { CheckpointError } from "../../support/errors.js";
import { isClassHead } from "./class-rows.js";

/** The label of the first class; `auto` follows what the file says. */
export type ClassNumbering = "auto" | "from0" | "from1";

/** What a checkpoint says about its classes. */
export interface NumberingFacts {
  /** Names that the file holds. */
  names: number;
  /** Rows of the class heads. */
  rows: number;
  /** `args.num_classes`. Up to 1.5 it was the number of rows after a training on other data than COCO. */
  declared: number | undefined;
  /** `args.dataset_file`: roboflow, yolo, coco or o365. */
  dataset: string | undefined;
  /** Whether the file has keys that only 1.6 and later write. */
  modern: boolean;
  /** `rfdetr_version`, which later versions write. */
  version: string | undefined;
}

/** A reading of the labels, and whether the other one is possible too. */
export interface Numbering {
  from: "from0" | "from1";
  certain: boolean;
}

/** Whether a version is 1.9.2 or later: since then no label is given to a grouping category. */
function countsFrom0(version: string | undefined): boolean {
  const [major, minor, patch] = (version ?? "").split(".").map((part) => Number.parseInt(part, 10));
  return major > 1 || (major === 1 && (minor > 9 || (minor === 9 && patch >= 2)));
}

/** The reading of the labels that the facts suggest. */
export function numberingOf({ names, rows, declared, dataset, modern, version }: NumberingFacts): Numbering {
  const spare = rows - names;
  if (names === 0 || spare < 1 || dataset === "yolo" || dataset === "coco" || countsFrom0(version))
    return { from: "from0", certain: true };
  if (modern)
    // One row is the background's; a second one is that of the grouping category.
    return spare === 1 ? { from: "from0", certain: true } : { from: spare === 2 ? "from1" : "from0", certain: false };
  // A head of exactly the declared rows was made for a training of 1.0 to 1.5, with a row for the grouping category.
  const fineTuned = declared === rows || (declared !== undefined && declared === names + 1);
  if (!fineTuned && dataset === undefined) return { from: "from0", certain: declared === names && spare === 1 };
  return { from: fineTuned || dataset === "roboflow" ? "from1" : "from0", certain: false };
}

/** What to tell about a file whose labels can be read in two ways. */
export function numberingWarning(path: string, { from }: Numbering, names: readonly string[]): string {
  const [first, second = "the next class"] = names;
  const read = from === "from1" ? `label 1 is ${first}` : `label 0 is ${first}`;
  const other =
    from === "from1"
      ? `label 0 is ${first} and label 1 ${second}`
      : `label 1 is ${first}, as in files of rfdetr 1.0 to 1.9.1 that were trained on Roboflow's COCO format`;
  return (
    `The class numbers of ${path} can be read in two ways. It is read as: ${read}. ` +
    `If ${other}, set class_numbering to ${from === "from1" ? "from0" : "from1"}`
  );
}

/**
 * Moves row 0, which belongs to no class, behind the rows of the named classes, so that class i has row i.
 * @param names the number of named classes
 * @throws CheckpointError when there is no such row
 */
export function countFromZero(path: string, tensors: Map<string, Tensor>, names: number): void {
  for (const [key, stored] of [...tensors].filter(([name]) => isClassHead(name))) {
    const rows = stored.shape[0];
    if (names === 0 || names >= rows)
      throw new CheckpointError(
        `Expected a class head with a row before its classes in ${path}, as class_numbering from1 says, ` +
          `but it has ${rows} rows for ${names} named classes`,
      );
    const order = Array.from({ length: rows }, (_, i) => BigInt(i < names ? i + 1 : i === names ? 0 : i));
    const moved = noGrad(() =>
      keep(scope(() => ops.indexSelect(stored, 0, tensor(BigInt64Array.from(order), { dtype: "int64" })))),
    );
    stored.dispose();
    tensors.set(key, moved);
  }
}
