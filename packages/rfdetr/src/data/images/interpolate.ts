// Bilinear interpolation without antialias, as `torch.nn.functional.interpolate` computes it. No import of Node.

/**
 * Resizes RGB bytes `[height, width, 3]`: each pixel is interpolated between its four neighbours, corners not aligned.
 * @returns `[toHeight, toWidth, 3]` float32 on the scale 0 to 1
 */
export function interpolate(
  pixels: Uint8Array,
  width: number,
  height: number,
  toWidth: number,
  toHeight: number,
): Float32Array {
  const across = neighbours(width, toWidth);
  const down = neighbours(height, toHeight);
  const light = Float32Array.from({ length: 256 }, (_, byte) => byte / 255);
  const out = new Float32Array(toHeight * toWidth * 3);
  const { fround } = Math;
  for (let y = 0, at = 0; y < toHeight; y++) {
    const upper = down.first[y] * width * 3;
    const lower = down.second[y] * width * 3;
    const [w0, w1] = [down.firstShare[y], down.secondShare[y]];
    for (let x = 0; x < toWidth; x++) {
      const [left, right] = [across.first[x] * 3, across.second[x] * 3];
      const [v0, v1] = [across.firstShare[x], across.secondShare[x]];
      for (let c = 0; c < 3; c++) {
        const above = fround(light[pixels[upper + left + c]] * v0 + light[pixels[upper + right + c]] * v1);
        const below = fround(light[pixels[lower + left + c]] * v0 + light[pixels[lower + right + c]] * v1);
        out[at++] = fround(above * w0 + below * w1);
      }
    }
  }
  return out;
}

interface Neighbours {
  first: Int32Array;
  second: Int32Array;
  firstShare: Float32Array;
  secondShare: Float32Array;
}

/** For each output pixel its two input pixels and their shares, in the float32 arithmetic of `upsample_bilinear2d`. */
function neighbours(input: number, output: number): Neighbours {
  const { fround } = Math;
  const result = {
    first: new Int32Array(output),
    second: new Int32Array(output),
    firstShare: new Float32Array(output),
    secondShare: new Float32Array(output),
  };
  const scale = fround(input / output);
  for (let i = 0; i < output; i++) {
    const centre = Math.max(0, fround(fround(scale * fround(i + 0.5)) - 0.5));
    const first = Math.min(Math.floor(centre), input - 1);
    result.first[i] = first;
    result.second[i] = Math.min(first + 1, input - 1);
    result.secondShare[i] = Math.min(1, Math.max(0, centre - first));
    result.firstShare[i] = 1 - result.secondShare[i];
  }
  return result;
}
