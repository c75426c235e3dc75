// Fits the weights of one model to another of the same architecture: other classes, fewer queries, another resolution.
import { noGrad, ops, scope, type Tensor } from "@rfdetr/torch";
import type { ModelConfig } from "../model/types.js";
import { CheckpointError } from "../support/errors.js";
import { type ClassRow, classRows, headRows, isClassHead, placeRows } from "./classes/class-rows.js";

/** What became of each tensor of a file. */
export interface FitReport {
  /** Number of tensors that were loaded unchanged, or row by row. */
  loaded: number;
  /** Tensors that were reshaped, and how. */
  changed: { key: string; how: string }[];
  /** Keys of the model that the file lacks: they keep their values. */
  missing: string[];
  /** Keys of the file that the model does not use. */
  leftOver: string[];
}

const queryRows = /^(refpoint_embed|query_feat)\.weight$/;
const groupHead = /^transformer\.enc_out\w*\.(\d+)\./;
const positions = "backbone.0.encoder.encoder.embeddings.position_embeddings";

/** Weights of a model with its sizes and classes. */
export interface Weights {
  tensors: ReadonlyMap<string, Tensor>;
  config: ModelConfig;
  classNames: readonly string[];
}

/**
 * Reshapes stored weights for a model (`rfdetr.models.weights: load_pretrain_weights`). Class rows go by name; a class
 * that the file does not know keeps the row that the model has, which is the prior of a new model (the Python package
 * repeats the rows of other classes). Learned queries are cut group by group. Position embeddings are resized (bicubic,
 * antialiased, the class token kept). Selection heads of groups that the model lacks are left out. Call it inside a
 * scope.
 * @throws CheckpointError for another architecture: a tensor of another shape, more queries or groups than in the file,
 * or fewer than half of the tensors
 */
export function fitWeights(
  path: string,
  stored: Weights,
  own: Weights,
): { tensors: Map<string, Tensor>; report: FitReport; classRows: ClassRow[] } {
  const report: FitReport = { loaded: 0, changed: [], missing: [], leftOver: [] };
  const tensors = new Map<string, Tensor>();
  const { numQueries: queries, groupDetr: groups } = own.config;
  const { numQueries: storedQueries, groupDetr: storedGroups } = stored.config;
  const known = { classNames: stored.classNames, numClasses: stored.config.numClasses };
  const wanted = { classNames: own.classNames, numClasses: own.config.numClasses };
  const rows = classRows(known, wanted);
  const fromRows = headRows(rows, known, wanted);
  for (const [key, target] of own.tensors) {
    const found = stored.tensors.get(key);
    if (found === undefined) {
      report.missing.push(key);
      continue;
    }
    const fitted = noGrad(() => fit(key, found, target));
    if (fitted.tensor.shape.join() !== target.shape.join())
      throw new CheckpointError(
        `The weights ${path} of ${stored.config.variant} do not fit ${own.config.variant}: ` +
          `${key} has the shape ${found.shape.join("×")} instead of ${target.shape.join("×")}`,
      );
    tensors.set(key, fitted.tensor);
    if (fitted.how === null) report.loaded++;
    else report.changed.push({ key, how: fitted.how });
  }
  for (const key of stored.tensors.keys()) if (!own.tensors.has(key)) report.leftOver.push(key);
  if (tensors.size < own.tensors.size / 2)
    throw new CheckpointError(
      `The weights ${path} hold ${tensors.size} of the ${own.tensors.size} tensors of ${own.config.variant}: they are of another model`,
    );
  return { tensors, report, classRows: rows };

  function fit(key: string, found: Tensor, target: Tensor): { tensor: Tensor; how: string | null } {
    if (isClassHead(key) && found.shape.slice(1).join() === target.shape.slice(1).join())
      return { tensor: placeRows(found, target, fromRows), how: null };
    if (found.shape.join() === target.shape.join() && !queryRows.test(key)) return { tensor: found, how: null };
    if (queryRows.test(key)) {
      if (queries === storedQueries && groups === storedGroups) return { tensor: found, how: null };
      if (queries > storedQueries || groups > storedGroups)
        throw new CheckpointError(
          `The weights ${path} have ${storedGroups} groups of ${storedQueries} queries ` +
            `and the model has ${groups} of ${queries}: lower num_queries or group_detr`,
        );
      const cut = found.view(storedGroups, storedQueries, found.shape[1]).narrow(0, 0, groups).narrow(1, 0, queries);
      return {
        tensor: cut.reshape(groups * queries, found.shape[1]),
        how: `${storedGroups}×${storedQueries} queries to ${groups}×${queries}`,
      };
    }
    if (key === positions && found.shape[2] === target.shape[2]) return resized(found, target.shape[1]);
    return { tensor: found, how: null };
  }
}

/** Whether a key belongs to a selection head, of which a model with fewer groups has fewer. */
const isGroupHead = (key: string): boolean => groupHead.test(key);

/** A position table resized to another square grid; unchanged if the number of rows is not that of a square. */
function resized(table: Tensor, rows: number): { tensor: Tensor; how: string | null } {
  const [from, to] = [table.shape[1] - 1, rows - 1].map((count) => Math.round(Math.sqrt(count)));
  if (from * from !== table.shape[1] - 1 || to * to !== rows - 1) return { tensor: table, how: null };
  const tensor = scope(() => {
    const cls = table.narrow(1, 0, 1);
    const grid = table
      .narrow(1, 1, from * from)
      .view(1, from, from, -1)
      .permute(0, 3, 1, 2)
      .to("float32");
    const other = ops._upsampleBicubic2dAa(grid, [to, to], false).flatten(2).transpose(1, 2).to(table.dtype);
    return ops.cat([cls, other], { dim: 1 });
  });
  return { tensor, how: `position table of ${from}×${from} to ${to}×${to}` };
}

/** The first keys of a list, and how many more there are. */
export const some = (keys: readonly string[]): string =>
  keys.slice(0, 3).join(", ") + (keys.length > 3 ? ` and ${keys.length - 3} more` : "");

/** Whether a key belongs to the segmentation head, which a detector lacks as a whole. */
const isMaskHead = (key: string): boolean => key.startsWith("segmentation_head.");

/** What a user should know of a fit, one line each; none if every tensor was loaded unchanged. */
export function describeFit({ changed, missing, leftOver }: FitReport): string[] {
  const ways = new Map<string, number>();
  for (const { how } of changed) ways.set(how, (ways.get(how) ?? 0) + 1);
  const [isNew, isUnused] = [missing, leftOver].map((keys) => keys.includes("segmentation_head.bias"));
  const lacking = isNew ? missing.filter((key) => !isMaskHead(key)) : missing;
  const others = leftOver.filter((key) => !isGroupHead(key) && !(isUnused && isMaskHead(key)));
  return [
    ...(ways.size > 0 ? [`Reshaped: ${[...ways.keys()].join("; ")}`] : []),
    ...(isNew ? ["The segmentation head starts from random weights: the file is of a model without masks"] : []),
    ...(isUnused ? ["The segmentation head of the file is left out: the model has no masks"] : []),
    ...(lacking.length > 0 ? [`Missing in the file, and left unchanged: ${some(lacking)}`] : []),
    ...(others.length > 0 ? [`Unused in the file: ${some(others)}`] : []),
  ];
}
