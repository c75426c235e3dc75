// Points at which masks are compared (PointRend, Kirillov et al. 2020, arXiv:1912.08193). A point is x, y from 0 to 1
// of the image, so masks of any sizes are compared at the same places.
import { ops, rand, type Tensor, tensor } from "@rfdetr/torch";

/** Draws points of masks: `[masks, points, 2]` numbers from 0 to below 1 on a device. */
export type DrawPoints = (shape: readonly [masks: number, points: number, 2], device: string) => Tensor;

/** Random points from libtorch's generator of the device, which a run seeds for each micro-batch. */
export const randomPoints: DrawPoints = (shape, device) => rand([...shape], { device });

/**
 * The same evenly spread points for all masks, so that the loss of a split does not depend on chance, nor on its
 * batches. Source: the sequence R₂ of Martin Roberts, 2018, with the steps 1/φ and 1/φ² where φ³ = φ + 1.
 */
export const evenPoints: DrawPoints = ([masks, count], device) => {
  const phi = 1.324717957244746;
  const values = Float32Array.from({ length: 2 * count }, (_, i) => {
    const at = (count + (i >> 1)) / (i % 2 === 0 ? phi : phi ** 2);
    return Math.min(at - Math.floor(at), 1 - 2 ** -24);
  });
  return tensor(values, { shape: [1, count, 2], device }).expand([masks, -1, -1]);
};

/** How many candidates there are for each point, and the share of the points that are chosen among them. */
const oversampling = 3;
const importance = 0.75;

/**
 * The values of maps at points: bilinear, and beyond the centres of the outer pixels those of the edge. Source:
 * `rfdetr.models.heads.segmentation: point_sample`.
 * @param maps `[n, C, H, W]`; @param points `[n, P, 2]` or, for the same of all maps, `[1, P, 2]`
 * @returns `[n, C, P]`
 */
export function sampleMaps(maps: Tensor, points: Tensor): Tensor {
  const grid = points.to(maps.dtype).mul(2).sub(1).expand([maps.shape[0], -1, -1]).unsqueeze(2);
  const [bilinear, border] = [0, 1];
  return ops.gridSampler(maps, grid, bilinear, border, false).squeeze(3);
}

/** Random points, of which some are candidates. */
export interface DrawnPoints {
  /** `[n, 3·P, 2]` */
  candidates: Tensor;
  /** `[n, P − chosen, 2]` */
  fresh: Tensor;
}

/** Draws what {@link uncertainPoints} chooses from. @param count masks; @param points of each */
export function drawPoints(draw: DrawPoints, count: number, points: number, device: string): DrawnPoints {
  const chosen = Math.floor(importance * points);
  return {
    candidates: draw([count, oversampling * points, 2], device),
    fresh: draw([count, points - chosen, 2], device),
  };
}

/**
 * Points where a mask is undecided: of the candidates those with the logits nearest to 0, and the fresh points. Source:
 * PointRend (arXiv:1912.08193, §3.1), `rfdetr.models.heads.segmentation: get_uncertain_point_coords_with_randomness`.
 * Call it without gradients.
 * @param logits `[n, 1, H, W]`
 * @returns `[n, P, 2]`
 */
export function uncertainPoints(logits: Tensor, { candidates, fresh }: DrawnPoints): Tensor {
  const chosen = candidates.shape[1] / oversampling - fresh.shape[1];
  const certainty = sampleMaps(logits, candidates).squeeze(1).abs();
  const [, places] = ops.topk(certainty, chosen, { dim: 1, largest: false });
  return ops.cat([candidates.gather(1, places.unsqueeze(2).expand([-1, -1, 2])), fresh], { dim: 1 });
}
