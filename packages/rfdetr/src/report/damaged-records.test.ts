// Reports of runs whose records are damaged, in any field.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { recordLine } from "@rfdetr/amp/records";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { overflowReport } from "../testing/runs/numerics-records.js";
import { reportRun } from "../testing/runs/report-run.js";
import { testFolder } from "../testing/test-folder.js";
import { readRun } from "./records/run-record.js";
import { runReport } from "./run-report.js";
import { summarizeNumerics } from "./summary/numerics-summary.js";
import { numericsText } from "./summary/numerics-text.js";

type Path = readonly (string | number)[];
const folder = reportRun(join(testFolder(), "run"));
const file = join(folder, "numerics.jsonl");
const facts = { name: "x", dtype: "float16", shape: [2, 3], min: -1, max: 2, amax: 2, nan: 1, infinite: 3 };
const rare: object[] = [
  overflowReport(35, {
    inputs: [facts],
    weights: [facts],
    output: facts,
    trail: [{ path: "backbone", operator: "linear", dtype: "float16", amax: 3 }],
    readers: ["head"],
    advice: ["Lower the learning rate."],
    bad_parameter: "head.weight",
    bad_parameters: 2,
  }),
  { v: 1, kind: "rollback", step: 36, to_step: 20, lr_factor: 0.5, fault: "loss" },
  {
    ...{ v: 1, kind: "control", step: 37, command: "override", by: "command", pattern: "head", rule: "fp32" },
    ...{ overrides: { head: "fp32" }, at: "2026-02-03T04:05:06.000Z" },
  },
];
const lines = [...readFileSync(file, "utf8").trimEnd().split("\n"), ...rare.map(recordLine)];

/** What a tensor of the run holds: it may not be finite, and the report says so. */
const ofTensors = /^(?:loss|grad_norm|clip_factor)$|amax|largest,value|ratio|bf16_lost|cosine/;

/** The paths of all numbers and lists in a record, and of what they are in. */
function pathsOf(value: unknown, at: Path = []): Path[] {
  if (value === null || typeof value !== "object") return [at];
  return [at, ...Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, [...at, key]))];
}

const last = ["header", "step", "monitor", "overflow", "rollback", "control"].map((kind) =>
  lines.findLastIndex((line) => (JSON.parse(line) as { kind: string }).kind === kind),
);
const places = last.flatMap((line) =>
  pathsOf(JSON.parse(lines[line]))
    .filter((path) => path.length > 0 && !ofTensors.test(path.join()))
    .map((path) => ({ line, path })),
);

/** The words of the report and of the summary with another value there; undefined leaves it out. */
function reportWith(
  { line, path }: (typeof places)[number],
  value: unknown,
): { words: string; text: string; faults: string[] } {
  const record = JSON.parse(lines[line]);
  const inside = path.slice(0, -1).reduce((at, key) => at[key], record);
  inside[path[path.length - 1]] = value;
  writeFileSync(file, `${lines.with(line, JSON.stringify(record)).join("\n")}\n`);
  const run = readRun(folder);
  const words = runReport(run).replace(/<(script|style)[\s\S]*?<\/\1>/g, "");
  return { words, text: numericsText(summarizeNumerics(run.numerics)), faults: run.faults };
}

/** Figures that are none; a heading of a table may be called NaN. */
const noFigures = (words: string): string[] =>
  words
    .match(/[^<>\n]*(?:NaN|Infinity|undefined|infinite)[^<>\n]*/g)
    ?.filter((text) => !/^(?:NaN|infinite)$/.test(text)) ?? [];

/** What no text has but for headings and what tensors held. */
const none = /undefined|NaN|Infinity|\[object/g;
writeFileSync(file, `${lines.join("\n")}\n`);
const whole = numericsText(summarizeNumerics(readRun(folder).numerics)).match(none) ?? [];

describe("the report of a run with a damaged record", () => {
  it("has no figure that is none", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...places),
        fc.constantFrom<unknown>(undefined, null, "x", "nan", "inf", "-inf", -1, {}, []),
        (place, value) => {
          const { words, text } = reportWith(place, value);
          const found = noFigures(words);
          if (found.length > 0) throw new Error(found.join("; "));
          expect(text.match(none)?.length ?? 0).toBeLessThanOrEqual(whole.length);
        },
      ),
      {
        numRuns: 150,
        examples: places
          .filter(({ path }) => path.join() === "updates")
          .map((place): [typeof place, unknown[]] => [place, []]),
      },
    );
  });

  it("leaves out what happened to the run where its record is damaged, and says so", () => {
    for (const [kind, path, value] of [
      [3, "phase", "sideways"],
      [3, "scale", "nan"],
      [3, "bad_parameters", -1],
      [3, "output,shape,0", "inf"],
      [4, "to_step", "nan"],
      [4, "lr_factor", "inf"],
      [5, "pattern", undefined],
      [5, "rule", {}],
      [5, "overrides", "x"],
    ] as const) {
      const names = path.split(",").map((name) => (/^\d+$/.test(name) ? Number(name) : name));
      expect(reportWith({ line: last[kind], path: names }, value).faults, path).toEqual([
        `Line ${last[kind] + 1} of numerics.jsonl is damaged and was left out`,
      ]);
    }
  });

  it("shows a command of a later version by its name", () => {
    const { words, text, faults } = reportWith({ line: last[5], path: ["command"] }, "rewind");
    expect(faults).toEqual([]);
    expect(words).toContain("rewind");
    expect(text).toContain("After step 37: rewind");
  });

  it("says of a return without a fault that there was one", () => {
    const { text } = reportWith({ line: last[4], path: ["fault"] }, null);
    expect(text).toMatch(/Step 36: back to the state after step 20, learning rates times 0\.5$/m);
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
