// @ts-check
// How far two gradients point the same way.
import { noGrad, scope } from "@rfdetr/torch";

/** @typedef {import("@rfdetr/torch").Tensor} Tensor */

/**
 * The cosine between two gradients, each taken as one vector; a parameter that lacks one in either is left out.
 * @param {(Tensor | null)[]} a @param {(Tensor | null)[]} b
 */
export function cosine(a, b) {
  let [ab, aa, bb] = [0, 0, 0];
  noGrad(() =>
    scope(() =>
      a.forEach((x, i) => {
        const y = b[i];
        if (x === null || y === null) return;
        ab += x.mul(y).sum().item();
        aa += x.mul(x).sum().item();
        bb += y.mul(y).sum().item();
      }),
    ),
  );
  return ab / Math.sqrt(aa * bb);
}
