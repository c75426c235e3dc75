// Reports of runs whose records are damaged, in any field.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { reportRun } from "../testing/runs/report-run.js";
import { testFolder } from "../testing/test-folder.js";
import { readRun } from "./records/run-record.js";
import { runReport } from "./run-report.js";

type Path = readonly (string | number)[];
const folder = reportRun(join(testFolder(), "run"));
const file = join(folder, "numerics.jsonl");
const lines = readFileSync(file, "utf8").trimEnd().split("\n");

/** What a tensor of the run holds: it may not be finite, and the report says so. */
const ofTensors =
  /^(?:loss|grad_norm|clip_factor)$|amax|largest,value|ratio|bf16_lost|cosine|^(?:inputs|weights|output|trail)/;

/** The paths of all numbers and lists in a record, and of what they are in. */
function pathsOf(value: unknown, at: Path = []): Path[] {
  if (value === null || typeof value !== "object") return [at];
  return [at, ...Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, [...at, key]))];
}

const last = ["header", "step", "monitor"].map((kind) =>
  lines.findLastIndex((line) => (JSON.parse(line) as { kind: string }).kind === kind),
);
const places = last.flatMap((line) =>
  pathsOf(JSON.parse(lines[line]))
    .filter((path) => path.length > 0 && !ofTensors.test(path.join()))
    .map((path) => ({ line, path })),
);

/** The words of the report with another value there; undefined leaves it out. */
function reportWith({ line, path }: (typeof places)[number], value: unknown): { words: string; faults: string[] } {
  const record = JSON.parse(lines[line]);
  const inside = path.slice(0, -1).reduce((at, key) => at[key], record);
  inside[path[path.length - 1]] = value;
  writeFileSync(file, `${lines.with(line, JSON.stringify(record)).join("\n")}\n`);
  const run = readRun(folder);
  const words = runReport(run).replace(/<(script|style)[\s\S]*?<\/\1>/g, "");
  return { words, faults: run.faults };
}

/** Figures that are none; a heading of a table may be called NaN. */
const noFigures = (words: string): string[] =>
  words
    .match(/[^<>\n]*(?:NaN|Infinity|undefined|infinite)[^<>\n]*/g)
    ?.filter((text) => !/^(?:NaN|infinite)$/.test(text)) ?? [];

describe("the report of a run with a damaged record", () => {
  it("has no figure that is none", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...places),
        fc.constantFrom(undefined, null, "x", "nan", "inf", "-inf", -1, {}, []),
        (place, value) => {
          const found = noFigures(reportWith(place, value).words);
          if (found.length > 0) throw new Error(found.join("; "));
        },
      ),
      { numRuns: 200 },
    );
  });

  it.each([
    ["header", 0, "fixed_bytes,average"],
    ["watched step", 2, "written_bytes,half"],
  ])("says which: a %s", (_, kind, path) => {
    for (const value of ["nan", "inf", -1, undefined])
      expect(reportWith({ line: last[kind], path: path.split(",") }, value).faults).toEqual([
        `Line ${last[kind] + 1} of numerics.jsonl is damaged and was left out`,
      ]);
  });

  it("keeps a step whose memory is damaged, without its memory, and says which it is", () => {
    const line = last[1];
    for (const value of ["nan", "inf", -1, "x"]) {
      const { words, faults } = reportWith({ line, path: ["memory", "peak_bytes"] }, value);
      expect(faults).toEqual([
        `Line ${line + 1} of numerics.jsonl has bytes of memory that are none: they are left out`,
      ]);
      expect(words).toContain("Memory over the steps");
      expect(words).not.toMatch(/NaN B|undefined B|Infinity/);
      expect(words).toMatch(/<td[^>]*>–<\/td>/);
    }
  });
});
