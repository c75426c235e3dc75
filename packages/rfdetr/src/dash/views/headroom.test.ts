// The arithmetic of the microscope, which runs in the page.
import { describe, expect, it } from "vitest";
import {
  bitsAt,
  dtypeAt,
  flushedAt,
  flushedModules,
  flushedText,
  isFalling,
  leastBits,
  levelOf,
  limitsText,
  modulesBelow,
  partsOf,
  tightest,
  treeOf,
  trendAt,
} from "../../../dash/headroom.js";
import { Watched } from "../../../dash/watched.js";
import { moduleRecord } from "../../testing/runs/numerics-records.js";
import type { Reading } from "../runs/open-run.js";
import { type ModuleSeries, notFinite, type SideSeries, type WatchedSteps } from "../wire.js";
import { exponentMap } from "./exponent-map.js";
import type { NamedImages } from "./images.js";

const side = (dtype: string, ...tops: (number | null)[]): SideSeries => ({
  dtype,
  letters: tops.map(() => ({ float16: "h", bfloat16: "b" })[dtype] ?? "f").join(""),
  top: tops.map((top) => (top === null ? null : top * 16)),
  flushed: tops.map(() => 0),
  flushed16: tops.map(() => 0),
});
const module = (path: string, forward: SideSeries | null = null, gradient: SideSeries | null = null): ModuleSeries => ({
  path,
  forward,
  gradient,
});

describe("headroom", () => {
  it("is counted in bits below the largest number of the dtype that ran, or of another", () => {
    const series = side("float16", 13);
    expect(bitsAt(series, 0, "as-run")).toBeCloseTo(3, 2);
    expect(bitsAt(series, 0, "bfloat16")).toBe(115);
    expect(bitsAt(side("float32", 20), 0, "float16")).toBeCloseTo(-4, 2);
  });

  it("has no end where there are only zeros, and is gone where a value is not finite", () => {
    expect(bitsAt(side("float16", null), 0, "as-run")).toBe(Number.POSITIVE_INFINITY);
    expect(bitsAt({ ...side("float16", 1), top: [notFinite] }, 0, "as-run")).toBe(Number.NEGATIVE_INFINITY);
    expect(bitsAt(null, 0, "as-run")).toBe(Number.POSITIVE_INFINITY);
  });

  it("goes by the dtype of each watched step: a rule of precision may change it", () => {
    const series: SideSeries = { ...side("float32", 15, 17), letters: "hf" };
    expect([0, 1].map((at) => dtypeAt(series, at, "as-run"))).toEqual(["float16", "float32"]);
    expect([0, 1].map((at) => bitsAt(series, at, "as-run") > 8)).toEqual([false, true]);
    expect(dtypeAt(series, 0, "bfloat16")).toBe("bfloat16");
  });

  it("has six levels, the lowest for what is beyond the limit", () => {
    expect([-1, 0, 0.5, 2, 4, 7, 9, Number.POSITIVE_INFINITY].map(levelOf)).toEqual([0, 0, 1, 2, 3, 4, 5, 5]);
  });

  it("falls by its change over the last watched steps", () => {
    const falling = [module("a", side("float16", 1, 2, 3, 4, 5, 6)), module("b", side("float16", 1, 1, 1, 1, 1, 1))];
    expect(trendAt(falling, "forward", 5, "as-run")).toBe(-1);
    expect(trendAt(falling, "forward", 0, "as-run")).toBe(0);
    expect(trendAt(falling, "gradient", 5, "as-run")).toBe(0);
    // A run in bfloat16 has a hundred bits left, and no need of arrows.
    expect([isFalling(7, -1), isFalling(7, 0), isFalling(125, -1)]).toEqual([true, false, false]);
    // Two or three points show no trend.
    expect([1, 2, 3].map((at) => trendAt(falling, "forward", at, "as-run"))).toEqual([0, 0, -1]);
  });
});

describe("a run in bfloat16 or float32", () => {
  it("is told of its own precision, and of float16 only where that is asked for", () => {
    const texts = ["bf16-mixed", "32-true", "16-mixed"].map((precision) => limitsText(precision, "as-run"));
    expect(texts[0]).toMatch(/^bfloat16 reaches as far as float32, and loses precision instead: it keeps 8 bits/);
    expect(texts[1]).toBe("This run is 32-true. The limits of float16 and bfloat16 show what half precision would do.");
    expect(texts[2]).toBe("");
    expect(limitsText("bf16-mixed", "float16")).toBe(
      "This run is bf16-mixed, and has other limits. These are those that 16-mixed would have.",
    );
    expect(limitsText("16-mixed", "float16")).toBe("");
    const flushed = { count: 1, of: 2 };
    expect(flushedText(flushed, "16-mixed")).toContain("With the loss scale of this run, float16 makes more");
    expect(flushedText(flushed, "bf16-mixed")).toContain("Without a loss scale, float16 would make more");
    expect(flushedText({ count: 0, of: 2 }, "16-mixed")).toBe("");
  });

  it("has its least headroom in the narrowest dtype, as the report says: float32 tells nothing of bfloat16", () => {
    const modules = [
      module("(outside of modules)", side("bfloat16", 9)),
      module("held", side("float32", 8), side("float32", 7)),
      module("low", side("bfloat16", 3), side("bfloat16", 4)),
    ];
    for (const measure of ["as-run", "bfloat16", "float16"] as const)
      expect(tightest(modules, 0, measure)).toMatchObject({ path: "low", side: "gradient" });
    const near = [...modules, module("near", side("float32", 124))];
    expect(tightest(near, 0, "as-run")).toMatchObject({ path: "near", side: "forward" });
    const broken = [...modules, module("broken", { ...side("float32", 1), top: [notFinite] })];
    expect(tightest(broken, 0, "as-run")).toMatchObject({ path: "broken" });
  });

  it("is measured against float16 by the figures of the report", () => {
    const modules = [
      module("low", side("bfloat16", 6.8), { ...side("bfloat16", 2), flushed16: [600] }),
      module("wide", side("float32", 14), { ...side("float32", 2), flushed16: [600] }),
    ];
    expect(tightest(modules, 0, "float16")).toMatchObject({ path: "low", side: "forward" });
    expect(tightest(modules, 0, "float16")?.bits).toBeCloseTo(9.2, 2);
    const [low] = modules;
    expect([flushedAt(low.gradient, 0, "float16"), flushedAt(low.gradient, 0, "as-run")]).toEqual([0.6, 0]);
    expect(flushedModules(modules, "gradient")).toEqual({ of: 1, count: 1 });
  });
});

describe("the figures of a module", () => {
  it("are those that were recorded, not those that the tree is coloured by", () => {
    const [seen, nan] = [moduleRecord("a", 6.90625), moduleRecord("a", Number.NaN, { non_finite: 1 })];
    const watched = [seen, nan].map((record, i) => ({ last: i + 1, forward: [record], gradient: [] }));
    const reading = { record: { numerics: { watched } } } as unknown as Reading;
    const map = exponentMap(reading, "a", "forward", { name: () => null } as unknown as NamedImages);
    expect(map?.amax).toEqual([6.90625, null]);
  });

  it("are its own, beside the least of the modules inside of it", () => {
    const modules = ["head", "head.layers.0", "header"].map((path, i) => module(path, side("float16", i)));
    expect(partsOf(modules, "head").map(({ path }) => path)).toEqual(["head.layers.0"]);
  });

  it("count what becomes zero on any watched step, as the report does", () => {
    const series = { ...side("bfloat16", 1, 1), flushed16: [50.04, 0] };
    expect(flushedModules([module("a", null, series)], "gradient")).toEqual({ of: 1, count: 1 });
  });
});

describe("the tree", () => {
  const modules = [
    module("a.b.0.x", side("float16", 4)),
    module("a.b.0.y", side("float16", 9), side("float16", 14)),
    module("a.b.1", side("float16", 2)),
    module("(outside of modules)"),
  ];

  it("joins the parts of paths between which there is nothing to choose", () => {
    const [a, outside] = treeOf(modules);
    expect([a.name, a.path, outside.name]).toEqual(["a.b", "a.b", "(outside of modules)"]);
    expect(a.children.map(({ name }) => name)).toEqual(["0", "1"]);
    expect(a.children[0].children.map(({ path }) => path)).toEqual(["a.b.0.x", "a.b.0.y"]);
  });

  it("shows a part by the least headroom below it", () => {
    const [a] = treeOf(modules);
    expect(leastBits(modulesBelow(a), "forward", 0, "as-run")).toBeCloseTo(7, 2);
    expect(tightest(modules, 0, "as-run")).toMatchObject({ path: "a.b.0.y", side: "gradient" });
  });
});

describe("watched steps in the page", () => {
  const sent = (from: number, steps: number[], modules: ModuleSeries[], generation = 1): WatchedSteps => ({
    generation,
    records: from + steps.length,
    from,
    steps,
    scale: steps.map(() => 1),
    modules,
    faults: [],
    forecasts: [],
    header: null,
  });

  it("grow by what is sent; the last of them may be sent again", () => {
    const watched = new Watched();
    expect(watched.add(sent(0, [1, 20], [module("a", side("float16", 1, 2))]))).toBe(true);
    expect(watched.has).toEqual({ generation: 1, count: 2, records: 2 });
    expect(watched.add(sent(1, [20], [module("a", side("float16", 2))]))).toBe(false);
    expect(
      watched.add(sent(1, [20, 40], [module("a", side("float16", 2, 3)), module("b", side("float16", 5, 6))])),
    ).toBe(true);
    expect(watched.steps).toEqual([1, 20, 40]);
    expect(watched.modules.map(({ forward }) => forward?.top)).toEqual([
      [16, 32, 48],
      [null, 80, 96],
    ]);
  });

  it("are replaced when they were thinned or taken back", () => {
    const watched = new Watched();
    watched.add(
      sent(0, [1, 20, 40], [module("a", side("float16", 1, 2, 3)), module("gone", side("float16", 1, 2, 3))]),
    );
    watched.add(sent(0, [20, 40], [module("a", side("float16", 2, 3))], 2));
    expect([watched.steps, watched.modules.length]).toEqual([[20, 40], 1]);
  });
});
