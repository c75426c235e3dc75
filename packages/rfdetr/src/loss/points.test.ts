import { manualSeed, type Tensor, tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { numbers } from "../testing/mask-predictions.js";
import { drawPoints, evenPoints, randomPoints, sampleMaps, uncertainPoints } from "./points.js";

describe("points", () => {
  it("of a map take the value between the centres of its pixels, and that of the edge beyond them", () => {
    const map = tensor([[[[0, 8]]]], { dtype: "float32" });
    const points = tensor(
      [
        [
          [0.25, 0.5],
          [0.5, 0.5],
          [0.75, 0.1],
          [0, 0],
          [0.999, 0.999],
        ],
      ],
      { dtype: "float32" },
    );
    expect(numbers(sampleMaps(map, points))).toEqual([0, 4, 8, 0, 8]);
  });

  it("are in three of four cases the most undecided of three times as many, and else fresh", () => {
    // The logit falls from 6 at the left to −6 at the right and is 0 in the middle.
    const ramp = tensor(
      Float32Array.from({ length: 64 }, (_, x) => 6 - (12 * (x + 0.5)) / 64),
      { shape: [1, 1, 1, 64] },
    );
    manualSeed(3);
    const drawn = drawPoints(randomPoints, 1, 100, "cpu");
    expect([drawn.candidates.shape, drawn.fresh.shape]).toEqual([
      [1, 300, 2],
      [1, 25, 2],
    ]);
    const across = (x: Tensor): number[] => numbers(x.select(2, 0));
    const chosen = across(uncertainPoints(ramp, drawn));
    const distance = (x: number): number => Math.abs(x - 0.5);
    const nearest = across(drawn.candidates)
      .sort((a, b) => distance(a) - distance(b))
      .slice(0, 75);
    expect(chosen.slice(0, 75).sort()).toEqual(nearest.sort());
    expect(chosen.slice(75)).toEqual(across(drawn.fresh));
  });

  it("come from the generator of libtorch, so that a seed repeats them", () => {
    const draw = (): number[] => {
      manualSeed(7);
      return numbers(randomPoints([2, 3, 2], "cpu"));
    };
    expect(draw()).toEqual(draw());
  });
});

describe("even points", () => {
  it("are the same for all masks, and every part of the image has its share of them", () => {
    const points = evenPoints([3, 400, 2], "cpu").toList() as [number, number][][];
    expect(points[1]).toEqual(points[0]);
    const cells = new Map<number, number>();
    for (const [x, y] of points[2]) {
      const cell = Math.floor(5 * x) + 5 * Math.floor(5 * y);
      cells.set(cell, (cells.get(cell) ?? 0) + 1);
    }
    // 400 points in 25 cells are 16 in each.
    expect(cells.size).toBe(25);
    for (const count of cells.values()) expect(Math.abs(count - 16)).toBeLessThanOrEqual(3);
  });
});
