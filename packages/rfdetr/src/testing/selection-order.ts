// The order of selected queries, for comparisons of float32 with goldens. Scores that differ in the last bits of
// float32 may come in another order than in the golden. A query then meets the learned content of another slot, and all
// results move.
import { intercept, operator, type Tensor, tensor } from "@rfdetr/torch";

const topk = operator("aten::topk");

/** What query selection chose: the scores of all proposals, and the indices of the best, best first. */
export interface Selection {
  scores: number[];
  order: number[];
}

/** The selection of the forward pass that `body` makes. */
export function selectionOf(body: () => unknown): Selection {
  let found: Selection | null = null;
  const stop = intercept((call, next) => {
    const result = next(call.args);
    if (call.op === topk)
      found ??= {
        scores: (call.args[0] as Tensor).flatten().toList() as number[],
        order: (result as Tensor[])[1].flatten().toList() as number[],
      };
    return result;
  });
  try {
    body();
  } finally {
    stop();
  }
  if (found === null) throw new Error("Expected a forward pass with query selection");
  return found;
}

/**
 * Runs `body` with the order of `selection` in its first forward pass.
 * @throws Error where another order moves more than near ties
 */
export function inOrderOf<T>({ scores, order }: Selection, body: () => T): T {
  let done = false;
  const stop = intercept((call, next) => {
    const result = next(call.args);
    if (call.op !== topk || done) return result;
    done = true;
    const [values, indices] = result as Tensor[];
    (indices.flatten().toList() as number[]).forEach((index, place) => {
      const gap = Math.abs(scores[index] - scores[order[place]]);
      if (!(gap < 2e-5)) throw new Error(`Expected near ties alone in another order but scores differ by ${gap}`);
    });
    return [values, tensor(order, { dtype: "int64" }).view(...indices.shape)];
  });
  try {
    return body();
  } finally {
    stop();
  }
}
