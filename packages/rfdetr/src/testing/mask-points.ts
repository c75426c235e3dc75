// The points of tools/reference/criterion_goldens.py, at which masks are compared.
import { tensor } from "@rfdetr/torch";
import { uniforms } from "../instruments/peers/deterministic-fill.js";
import type { DrawPoints } from "../loss/points.js";

/** Float64 points that depend on how many each mask gets and on how often as many were drawn. */
export function goldenPoints(): DrawPoints {
  const made = new Map<number, number>();
  return (shape) => {
    const number = (made.get(shape[1]) ?? -1) + 1;
    made.set(shape[1], number);
    const count = shape.reduce((a, b) => a * b, 1);
    const values = Float32Array.from(uniforms(`points ${shape[1]} ${number}`, count), (u) => (u + 1) / 2);
    return tensor(values, { shape: [...shape] }).to("float64");
  };
}
