// Weights, images and targets that every implementation can make without a download: the ground under the golden
// numbers.

import type { nn } from "@rfdetr/torch";
import { noGrad, type Tensor, tensor } from "@rfdetr/torch";
import type { Target } from "../data/target.js";

/**
 * Uniform numbers on [−1, 1): murmur3's finaliser over the index plus the FNV-1a hash of the key.
 * @internal for tests
 */
export function uniforms(key: string, count: number): Float64Array {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(key)) hash = Math.imul(hash ^ byte, 0x01000193);
  return Float64Array.from({ length: count }, (_, i) => {
    let x = (i + hash) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return (((x ^ (x >>> 16)) >>> 0) / 2 ** 32) * 2 - 1;
  });
}

/** Value of a parameter from its uniform number, by the first rule that fits its key. */
function rule(key: string, shape: number[]): (u: number) => number {
  const numel = shape.reduce((a, b) => a * b, 1);
  if (shape.length === 1 && key.endsWith("weight")) return (u) => 1 + 0.1 * u;
  if (key.includes("lambda1")) return (u) => 0.5 + 0.1 * u;
  if (key.includes("class_embed") && key.endsWith("bias")) return (u) => -4.6 + 0.1 * u;
  if (key.endsWith("sampling_offsets.bias")) return (u) => 2 * u;
  if (key.includes("embeddings") && !key.includes("projection")) return (u) => 0.5 * u;
  if (key === "query_feat.weight") return (u) => 0.5 * u;
  if (key === "refpoint_embed.weight") return (u) => 0.2 * u;
  if (shape.length > 1) {
    const scale =
      Math.sqrt(3 / (numel / shape[0])) *
      (key.includes("bbox_embed") && key.endsWith("layers.2.weight") ? 0.3 : 1) *
      (key.endsWith("sampling_offsets.weight") ? 0.3 : 1);
    return (u) => scale * u;
  }
  return (u) => 0.1 * u;
}

/** Fills every parameter, rounded to float32 whatever the model's dtype. */
export function fillModel(model: nn.Module): void {
  noGrad(() => {
    for (const [key, parameter] of model.namedParameters()) {
      const value = rule(key, parameter.shape);
      const values = tensor(Float32Array.from(uniforms(key, parameter.numel), value), { shape: parameter.shape });
      parameter.copy_(values);
      values.dispose();
    }
  });
}

/** `[batch, 3, height, width]` waves, float32 numbers. */
export function fillImages(batch: number, height: number, width: number): Tensor {
  const data = new Float32Array(batch * 3 * height * width);
  let at = 0;
  for (let b = 0; b < batch; b++)
    for (let c = 0; c < 3; c++)
      for (let y = 0; y < height; y++)
        for (let w = 0; w < width; w++)
          data[at++] = 1.5 * Math.sin(0.05 * y * (1 + c) + 0.3 * b) + Math.cos(0.083 * w + 0.5 * c - 0.2 * b);
  return tensor(data, { shape: [batch, 3, height, width] });
}

/** Image b has 2 + b boxes. */
export function fillTargets(batch: number): Target[] {
  return Array.from({ length: batch }, (_, b) => {
    const boxes = Array.from({ length: 2 + b }, (_, k) => [
      0.3 + 0.15 * k,
      0.6 - 0.1 * k,
      0.2 + 0.05 * k,
      0.25 + 0.03 * b,
    ]);
    return {
      imageId: b,
      boxes: Float32Array.from(boxes.flat()),
      labels: Int32Array.from(boxes, (_, k) => (7 * k + 3 * b + 1) % 90),
    };
  });
}
