// What the seeds of runs allow to say: which settings are better, in figures, tables and words.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type HtmlPage, htmlPage } from "../../testing/pages/html-page.js";
import { exampleDetails } from "../../testing/runs/example-details.js";
import { type ReportRun, reportRun } from "../../testing/runs/report-run.js";
import { root } from "../../testing/runs/written-report.js";
import { type RunRecord, readRun } from "../records/run-record.js";
import { comparisonReport } from "./comparison.js";
import { bySettings, countingError, judge } from "./seeds.js";

let made = 0;
/** Runs of the same settings, from seeds 1, 2 and so on, with these AP. */
const seedsOf = (name: string, APs: readonly number[], example: ReportRun = {}): RunRecord[] =>
  APs.map((AP, i) =>
    readRun(
      reportRun(join(root, `seeds${made++}`, `${name}-${i + 1}`), { seed: i + 1, AP, validImages: 5000, ...example }),
    ),
  );
const slow = { settings: { lr: 1e-4 } };
const comparisonOf = (...runs: RunRecord[][]): HtmlPage => htmlPage(comparisonReport(runs.flat()));
const judged = (...runs: RunRecord[][]) => {
  const all = runs.flat();
  return judge(
    all.map(({ summary }) => summary?.AP ?? null),
    all,
    10_000,
  );
};

describe("runs are repetitions of each other", () => {
  const [first] = seedsOf("first", [0.4]);
  const isRepetition = (example: ReportRun): boolean =>
    bySettings([first, ...seedsOf("other", [0.4], { seed: 2, ...example })]).length === 1;

  it("where seed, folders, notes and records differ, and nothing else", () => {
    expect(isRepetition({})).toBe(true);
    expect(isRepetition({ settings: { notes: "again", plots: false, num_workers: 1, output_dir: "x" } })).toBe(true);
    expect(isRepetition({ settings: { lr: 2e-3 } })).toBe(false);
    expect(isRepetition({ settings: { epochs: 5 } })).toBe(false);
  });

  it("in the precision that they came to, whether it was chosen or asked for", () => {
    expect(isRepetition({ settings: { precision: "auto" } })).toBe(true);
    expect(isRepetition({ precision: "bf16-mixed", settings: { precision: "auto" } })).toBe(false);
  });

  it("where they ended as planned", () => {
    expect(isRepetition({ summary: { stop_reason: "early_stopping" } })).toBe(true);
    expect(isRepetition({ summary: { stop_reason: "interrupted" } })).toBe(false);
    expect(isRepetition({ summary: null })).toBe(false);
  });
});

describe("settings are better than others", () => {
  it("never by one run each, however far apart", () => {
    expect(judged(seedsOf("a", [0.7]), seedsOf("b", [0.2], slow))).toMatchObject({ best: [], spread: null });
    // The same seed once more is a repetition, not a second seed.
    const again = [...seedsOf("a", [0.7]), ...seedsOf("a", [0.7])];
    expect(judged(again, seedsOf("b", [0.2], slow))).toMatchObject({ best: [], spread: null });
  });

  it("where means differ by more than Student's t allows for so few seeds", () => {
    // Deviations 0.01 and 0.01: the standard error of the difference is 0.01 · √(2/3), and t of 4 degrees is 2.78.
    const three = judged(seedsOf("a", [0.41, 0.42, 0.43]), seedsOf("b", [0.38, 0.39, 0.4], slow));
    expect(three.spread).toBeCloseTo(0.01, 9);
    expect(three.bound).toBeCloseTo(2.78 * 0.01 * Math.sqrt(2 / 3), 9);
    expect(three.best.map(({ runs }) => runs)).toEqual([[0, 1, 2]]);
    // Of two seeds the same deviation says less: t of 2 degrees is 4.30.
    const two = judged(seedsOf("a", [0.413, 0.427]), seedsOf("b", [0.383, 0.397], slow));
    expect(two.spread).toBeCloseTo(0.01, 3);
    expect(two.bound).toBeCloseTo(0.0426, 3);
    expect(two.best).toEqual([]);
  });

  it("by more than the objects resolve, also where the seeds agree", () => {
    expect([1e4, 100, 0, null].map(countingError)).toEqual([0.01, 0.05, 0.01, 0.01]);
    const runs = [...seedsOf("a", [0.44, 0.44]), ...seedsOf("b", [0.4, 0.4], slow)];
    const values = runs.map(({ summary }) => summary?.AP ?? null);
    expect(judge(values, runs, 10_000).best).toHaveLength(1);
    expect(judge(values, runs, 100).best).toEqual([]);
  });

  it("with those that are not told apart from the best, though more seeds would tell as much", () => {
    const { best } = judged(
      seedsOf("a", [0.495, 0.505]),
      seedsOf("b", [0.461, 0.471], slow),
      // One seed tells less: its mean is lower, and not told apart.
      seedsOf("c", [0.465], { settings: { lr: 3e-4 } }),
    );
    expect(best.map(({ runs }) => runs)).toEqual([[0, 1], [4]]);
  });

  it("by the figures that are there", () => {
    const runs = [...seedsOf("a", [0.4, 0.4]), ...seedsOf("b", [0.2, 0.2], slow)];
    expect(judge([0.4, null, 0.2, null], runs, 10_000)).toMatchObject({ best: [], spread: null });
  });
});

describe("the comparison says", () => {
  it("that one run of each does not tell, and gives the commands that would", () => {
    const page = comparisonOf(seedsOf("fast", [0.7]), seedsOf("slow", [0.2], slow));
    expect(page.text()).toContain(
      "fast-1 has the highest AP, 0.700, 0.500 above the next. With one run of each, this may be the settings or the seed: train each with 2 or 3 seeds (commands), and compare all of these runs.",
    );
    expect(page.texts("tr")).toContain("best AP0.7000.200");
    expect(page.texts("pre")).toEqual([
      expect.stringMatching(/^npx rfdetr train --data \/data\/birds --model tiny .*--lr 0.001 .*--seed 2$/),
      expect.stringMatching(/--precision 16-mixed --seed 2$/),
    ]);
  });

  it("which settings are best over their seeds", () => {
    const page = comparisonOf(seedsOf("fast", [0.41, 0.42, 0.43]), seedsOf("slow", [0.38, 0.39, 0.4], slow));
    expect(page.text()).toContain(
      "The best settings are lr 0.001: AP 0.420, the mean of 3 seeds, 0.030 above the next. Seeds of the same settings have a standard deviation of 0.010 here: with so few of them, only means more than 0.023 apart differ by more than chance.",
    );
    expect(page.texts("tr")).toEqual(
      expect.arrayContaining([
        "settingsrunsseedsmeandeviationleastmost",
        "lr 0.001fast-1, fast-2 and fast-330.420 ★0.0100.4100.430",
        "lr 0.0001slow-1, slow-2 and slow-330.3900.0100.3800.400",
        "best AP0.410 ★0.420 ★0.430 ★0.3800.3900.400",
      ]),
    );
    expect(page.texts("pre")).toEqual([]);
  });

  it("that none is, where the seeds explain the difference", () => {
    const page = comparisonOf(seedsOf("fast", [0.41, 0.45]), seedsOf("slow", [0.4, 0.42], slow));
    expect(page.text()).toContain(
      "No settings are better by more than their seeds explain: the highest mean AP is 0.430 (lr 0.001), 0.020 above the next. Seeds of the same settings have a standard deviation of 0.022 here: with so few of them, only means more than 0.096 apart differ by more than chance.",
    );
    expect(page.texts("tr").join()).not.toContain("★");
  });

  it("which are not told apart from the best", () => {
    const page = comparisonOf(
      seedsOf("a", [0.495, 0.505]),
      seedsOf("b", [0.461, 0.471], slow),
      seedsOf("c", [0.465], { settings: { lr: 3e-4 } }),
    );
    expect(page.text()).toContain(
      "The best settings are lr 0.001: AP 0.500, the mean of 2 seeds; not told apart from it: lr 0.0003.",
    );
    expect(page.texts("tr")).toContain("best AP0.495 ★0.505 ★0.4610.4710.465 ★");
    expect(page.texts("pre")).toEqual([expect.stringContaining("--lr 0.0003 --precision 16-mixed --seed 2")]);
  });

  it("how far seeds are apart where nothing else differs", () => {
    const text = comparisonOf(seedsOf("a", [0.4, 0.42, 0.44])).text();
    expect(text).toContain(
      "The runs differ by their seed alone: AP 0.420 ± 0.020, mean and standard deviation of 3 seeds.",
    );
    expect(comparisonOf(seedsOf("a", [0.4]), seedsOf("a", [0.42])).text()).toContain(
      "The runs have the same settings and the same seed: AP 0.400 to 0.420.",
    );
  });

  it("the names of the runs where many settings differ", () => {
    const other = { settings: { lr: 1e-4, epochs: 5, batch_size: 2 } };
    const text = comparisonOf(seedsOf("a", [0.4, 0.41]), seedsOf("b", [0.1, 0.11], other)).text();
    expect(text).toContain("The best settings are as in a-1: AP 0.405");
  });

  it("the same of each class", () => {
    const withClasses = (runs: RunRecord[], AP: number): RunRecord[] =>
      runs.map(({ folder }, i) => {
        const details = exampleDetails();
        const per_class = details.per_class.map((each) => ({ ...each, AP: AP + i / 64, instances: 5000 }));
        writeFileSync(join(folder, "evaluation-best.json"), JSON.stringify({ ...details, per_class }));
        return readRun(folder);
      });
    const fast = withClasses(seedsOf("fast", [0.4, 0.4]), 0.5);
    const slower = withClasses(seedsOf("slow", [0.4, 0.4], slow), 0.25);
    expect(comparisonOf(fast, slower).texts("tr")).toContain("bird0.500 ★0.516 ★0.2500.266");
    expect(comparisonOf(fast.slice(1), slower.slice(1)).texts("tr")).toContain("bird0.5160.266");
  });
});
