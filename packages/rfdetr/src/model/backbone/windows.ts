// Tokens of an image as windows, and back (LW-DETR, arXiv:2406.03459 §3).
import type { Tensor } from "@rfdetr/torch";

/**
 * Splits the tokens of each image into n × n windows. Windows are ordered row by row within an image, and tokens row by
 * row within a window.
 * @param tokens `[B, rows·columns, C]`, row by row
 * @param rows a multiple of `windows`
 * @param columns a multiple of `windows`
 * @param windows n, the number of windows on each side
 * @returns `[B·n², rows·columns / n², C]`
 */
export function partition(tokens: Tensor, rows: number, columns: number, windows: number): Tensor {
  if (windows === 1) return tokens;
  const [batch, , width] = tokens.shape;
  return tokens
    .view(batch, windows, rows / windows, windows, columns / windows, width)
    .permute(0, 1, 3, 2, 4, 5)
    .reshape(batch * windows ** 2, (rows * columns) / windows ** 2, width);
}

/** The inverse of {@link partition}. */
export function unpartition(tokens: Tensor, rows: number, columns: number, windows: number): Tensor {
  if (windows === 1) return tokens;
  const [count, , width] = tokens.shape;
  return tokens
    .view(count / windows ** 2, windows, windows, rows / windows, columns / windows, width)
    .permute(0, 1, 3, 2, 4, 5)
    .reshape(count / windows ** 2, rows * columns, width);
}
