import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { benchEval, writeLoad } from "./bench-eval.js";

const load = { images: 20, detections: 6, classes: 5, truths: 3 };
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "eval-bench-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("writeLoad", () => {
  it("writes as many images, classes and detections as asked for", () => {
    const files = writeLoad(folder, load);
    const truth = JSON.parse(readFileSync(files.annotations, "utf8"));
    expect(truth.images).toHaveLength(20);
    expect(truth.categories).toHaveLength(5);
    expect(new Set(truth.annotations.map((a: { image_id: number }) => a.image_id)).size).toBe(20);
    const results = JSON.parse(readFileSync(files.results, "utf8"));
    expect(results).toHaveLength(120);
    for (const { category_id } of results) expect(category_id).toBeGreaterThanOrEqual(1);
    expect(Math.max(...results.map((r: { category_id: number }) => r.category_id))).toBeLessThanOrEqual(5);
  });

  it("writes lists that are longer than one piece as one list", () => {
    const { results } = writeLoad(folder, { images: 30, detections: 400, classes: 3, truths: 1 });
    expect(JSON.parse(readFileSync(results, "utf8"))).toHaveLength(12_000);
  });

  it("writes the same twice", () => {
    const once = readFileSync(writeLoad(folder, load).results, "utf8");
    expect(readFileSync(writeLoad(folder, load).results, "utf8")).toBe(once);
  });
});

describe("benchEval", () => {
  it("reports the load, what it cost and the twelve figures", () => {
    const result = benchEval(load);
    expect(result).toMatchObject(load);
    expect(result.seconds).toEqual({ load: expect.any(Number), evaluate: expect.any(Number) });
    expect(result.stats).toHaveLength(12);
    expect(result.stats[0]).toBeGreaterThan(0);
    expect(result.stats[0]).toBeLessThan(1);
  });
});
