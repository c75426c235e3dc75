// The true masks of a batch, looked up at points.
import { ops, type Tensor, tensor } from "@rfdetr/torch";
import type { Target } from "../data/target.js";
import { ModelConfigError } from "../support/errors.js";

/**
 * The masks of all targets of a batch, on a device. They stay runs, which take a hundredth of the memory of pixels: a
 * pixel belongs to an object if an odd number of runs have ended before it. Masks may have different sizes.
 */
export class TrueMasks {
  /** `[runs]` float64: where each run ends when all masks lie one after the other; an even number for each mask. */
  readonly #ends: Tensor;
  /** Of each target of each image: where its mask begins, and its size. */
  readonly #places: (readonly [start: number, height: number, width: number])[][];

  /** @throws ModelConfigError if a target has no mask */
  constructor(targets: readonly Target[], device: string) {
    const runs = targets.reduce(
      (sum, { masks = [] }) => masks.reduce((n, { counts }) => n + counts.length + 1, sum),
      0,
    );
    const ends = new Float64Array(runs);
    let [at, end] = [0, 0];
    this.#places = targets.map(({ masks = [], labels, imageId }) => {
      if (masks.length !== labels.length)
        throw new ModelConfigError(
          `Expected ${labels.length} masks in image ${imageId} but received ${masks.length}: a model that predicts masks trains on data with masks only`,
        );
      return masks.map(({ height, width, counts }) => {
        const start = end;
        for (const count of counts) {
          end += count;
          ends[at++] = end;
        }
        if (counts.length % 2 === 1) ends[at++] = end;
        return [start, height, width] as const;
      });
    });
    this.#ends = tensor(ends.subarray(0, at), { device });
  }

  /**
   * Whether points belong to objects: the value of the nearest pixel. Source:
   * `rfdetr.models.criterion: _sample_target_masks_at_points`.
   * @param images `[n]`, @param targets `[n]`: whose masks, by image and place among its targets
   * @param points `[n, P, 2]` or, for the same of all masks, `[1, P, 2]`
   * @returns `[n, P]` of the dtype of the points: 1 or 0
   */
  sample(images: Int32Array, targets: Int32Array, points: Tensor): Tensor {
    const { device, dtype } = points;
    const places = Array.from(images, (image, i) => this.#places[image][targets[i]]);
    const column = (of: 0 | 1 | 2): Tensor =>
      tensor(
        Float64Array.from(places, (place) => place[of]),
        { shape: [places.length, 1], device },
      );
    const pixel = (axis: 0 | 1, size: Tensor): Tensor => {
      const place = ops.round(points.select(2, axis).mul(size.to(dtype)).sub(0.5));
      return ops.minimum(place.clamp({ min: 0 }).to("float64"), size.sub(1));
    };
    const [height, width] = [column(1), column(2)];
    const at = pixel(0, width).mul(height).add(pixel(1, height)).add(column(0));
    return ops.bitwiseAnd(ops.searchsorted(this.#ends, at, { right: true }), 1).to(dtype);
  }
}
