// Which row of stored class heads each class of a model starts from: the one of its name.
import { noGrad, ops, type Tensor, tensor } from "@rfdetr/torch";
import { areUnnamed } from "./class-names.js";

/** Where a class of a model starts from. */
export interface ClassRow {
  name: string;
  /** Row of the stored heads; null for a class that starts from the prior, as in a new model. */
  row: number | null;
}

/** Classes by their names, and the number of rows that their heads have beside the background. */
export interface Classes {
  classNames: readonly string[];
  numClasses: number;
}

const classKey = /(^|\.)(class_embed|enc_out_class_embed\.\d+)\.(weight|bias)$/;

/** Whether a key is that of a class head: of the decoder, or of the query selection of one group. */
export const isClassHead = (key: string): boolean => classKey.test(key);

/**
 * The row of the same name for every class; classes of the same name are joined in their order. Where one side has no
 * names, classes are joined by number if both sides have as many, and else all start from the prior.
 */
export function classRows(stored: Classes, own: Classes): ClassRow[] {
  const { classNames: names } = own;
  const shared = own.classNames.some((name) => stored.classNames.includes(name));
  if (!shared && (areUnnamed(stored.classNames) || areUnnamed(names))) {
    const same = stored.numClasses === own.numClasses;
    return names.map((name, i) => ({ name, row: same ? i : null }));
  }
  const places = new Map<string, number[]>();
  for (const [row, name] of stored.classNames.entries()) places.set(name, [...(places.get(name) ?? []), row]);
  return names.map((name) => ({ name, row: places.get(name)?.shift() ?? null }));
}

/** One line about where the classes start from. */
export function describeRows(
  rows: readonly ClassRow[],
  names: { stored: readonly string[]; own: readonly string[] },
): string {
  const known = rows.filter(({ row }) => row !== null);
  const byName = known.some(({ name, row }) => name === names.stored[row as number]);
  if (!byName) {
    const side = areUnnamed(names.stored) ? "the weights" : areUnnamed(names.own) ? "the data" : null;
    if (side === null)
      return `Class heads: the weights know none of the ${rows.length} classes by name, so all of them start from the prior`;
    const what = known.length > 0 ? "class i starts from row i" : "all of them start from the prior";
    return `Class heads: ${side} have no names of classes, so ${what}`;
  }
  const fresh = rows.filter(({ row }) => row === null).map(({ name }) => name);
  const equal = new Set(names.own).size < names.own.length ? "; equal names are joined in their order" : "";
  const kept = known.map(({ name, row }) => `${name} from row ${row}`);
  return `Class heads by name: ${list(kept)}${fresh.length > 0 ? `; new, from the prior: ${list(fresh)}` : ""}${equal}`;
}

const list = (parts: readonly string[]): string =>
  parts.length <= 8 ? parts.join(", ") : `${parts.slice(0, 7).join(", ")} and ${parts.length - 7} more`;

/**
 * The stored row that each row of a model's class heads takes; null for rows that stay as they are. The last row is the
 * background's, unless the names reach it.
 */
export function headRows(rows: readonly ClassRow[], stored: Classes, own: Classes): (number | null)[] {
  const background = stored.classNames.length <= stored.numClasses ? stored.numClasses : null;
  return Array.from({ length: own.numClasses + 1 }, (_, i) => (i < rows.length ? rows[i].row : background));
}

/**
 * Rows of a class head, or of its bias, in another order.
 * @param stored `[rows, …]`: those of the file
 * @param own `[classes + 1, …]`: those of the model, which rows without a stored one keep
 * @param from see {@link headRows}
 */
export function placeRows(stored: Tensor, own: Tensor, from: readonly (number | null)[]): Tensor {
  const indices = BigInt64Array.from(from, (row, i) => BigInt(row ?? stored.shape[0] + i));
  return noGrad(() => {
    const both = ops.cat([stored.to(own.dtype), own.detach()], { dim: 0 });
    return ops.indexSelect(both, 0, tensor(indices));
  });
}
