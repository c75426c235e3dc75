// Weights, images and targets that every implementation can make without a download. Golden numbers are computed
// from them.

import type { nn } from "@rfdetr/torch";
import { noGrad, type Tensor, tensor } from "@rfdetr/torch";
import type { Target } from "../../data/target.js";

/**
 * Uniform numbers on [−1, 1): murmur3's finaliser over the index plus the FNV-1a hash of the key.
 * @internal for tests
 */
export function uniforms(key: string, count: number): Float64Array {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(key)) hash = Math.imul(hash ^ byte, 0x01000193);
  // A loop: a model has tens of millions, and `from` with a function takes ten times as long.
  const numbers = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    let x = (i + hash) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    numbers[i] = (((x ^ (x >>> 16)) >>> 0) / 2 ** 32) * 2 - 1;
  }
  return numbers;
}

/** What makes the value of a parameter of its uniform number, by the first rule that fits its key. */
function rule(key: string, shape: number[]): { plus: number; times: number } {
  const numel = shape.reduce((a, b) => a * b, 1);
  if (shape.length === 1 && key.endsWith("weight")) return { plus: 1, times: 0.1 };
  if (key.includes("lambda1")) return { plus: 0.5, times: 0.1 };
  if (key.includes("class_embed") && key.endsWith("bias")) return { plus: -4.6, times: 0.1 };
  if (key.endsWith("sampling_offsets.bias")) return { plus: 0, times: 2 };
  if (key.includes("embeddings") && !key.includes("projection")) return { plus: 0, times: 0.5 };
  if (key === "query_feat.weight") return { plus: 0, times: 0.5 };
  if (key === "refpoint_embed.weight") return { plus: 0, times: 0.2 };
  if (shape.length > 1) {
    const scale =
      Math.sqrt(3 / (numel / shape[0])) *
      (key.includes("bbox_embed") && key.endsWith("layers.2.weight") ? 0.3 : 1) *
      (key.endsWith("sampling_offsets.weight") ? 0.3 : 1);
    return { plus: 0, times: scale };
  }
  return { plus: 0, times: 0.1 };
}

/** Fills every parameter, rounded to float32 whatever the model's dtype. */
export function fillModel(model: nn.Module): void {
  noGrad(() => {
    for (const [key, parameter] of model.namedParameters()) {
      const { plus, times } = rule(key, parameter.shape);
      const numbers = uniforms(key, parameter.numel);
      const rounded = new Float32Array(numbers.length);
      for (let i = 0; i < numbers.length; i++) rounded[i] = plus + times * (numbers[i] as number);
      const values = tensor(rounded, { shape: parameter.shape });
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
