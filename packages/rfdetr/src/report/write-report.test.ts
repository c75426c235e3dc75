import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { recordLine } from "@rfdetr/amp/records";
import { afterAll, describe, expect, it } from "vitest";
import { RunLock } from "../run/files/run-lock.js";
import { htmlPage } from "../testing/pages/html-page.js";
import { exampleDetails } from "../testing/runs/example-details.js";
import { writeExampleRun } from "../testing/runs/example-run.js";
import { moduleRecord, monitorRecord } from "../testing/runs/numerics-records.js";
import { reportRun } from "../testing/runs/report-run.js";
import { reportFigures } from "./report-figures.js";
import { reportOfEnd, writeReport } from "./write-report.js";

const root = mkdtempSync(join(tmpdir(), "reports-"));
afterAll(() => rmSync(root, { recursive: true }));

const first = reportRun(join(root, "a", "nano"), { validImages: 100 });
const second = reportRun(join(root, "b", "nano"), {
  precision: "bf16-mixed",
  validImages: 100,
  settings: { lr: 0.002 },
  summary: { best_epoch: 4, train_seconds: 60 },
});

describe("the report of one run", () => {
  it("is written into its folder, or where it is asked for, and written again", () => {
    const { out, bytes } = writeReport([first]);
    expect(out).toBe(join(first, "report.html"));
    expect(readFileSync(out)).toHaveLength(bytes);
    expect(writeReport([first]).out).toBe(out);
    expect(existsSync(writeReport([first], join(root, "made", "for it.html")).out)).toBe(true);
  });

  it("takes the place of no other file", () => {
    const file = join(root, "notes.html");
    writeFileSync(file, "<!doctype html><title>Mine</title>");
    expect(() => writeReport([first], file)).toThrow(`${file} exists and is no report: choose another name`);
    expect(() => writeReport([first], root)).toThrow("is a folder: name a file in it");
    expect(readFileSync(file, "utf8")).toContain("Mine");
  });

  it("at the end of a run never fails, but says what is wrong", () => {
    expect(reportOfEnd(first)).toBeNull();
    const blocked = reportRun(join(root, "blocked"));
    mkdirSync(join(blocked, "report.html"));
    expect(reportOfEnd(blocked)).toMatch(/^The report was not written: .* is a folder/);
    expect(reportOfEnd(join(root, "none"))).toContain("does not exist");
  });

  it("has its figures as data", () => {
    expect(reportFigures(writeReport([first])).runs).toEqual([
      {
        folder: first,
        state: "ended",
        stop_reason: "finished",
        precision: "16-mixed",
        AP: 0.4,
        AP50: 0.6,
        best_epoch: 3,
        epochs: 4,
        steps: 40,
        skipped_steps: 3,
        progress: null,
        faults: [],
      },
    ]);
  });

  it("of a run in progress says where it is in the words of the console, and as data", () => {
    const folder = join(root, "live");
    writeExampleRun(folder, { steps: 70, epochSteps: 40, summary: null });
    const lock = RunLock.acquire(folder);
    const report = writeReport([folder]);
    lock.release();
    expect(htmlPage(readFileSync(report.out, "utf8")).text()).toContain(
      "The run was still in progress when this report was made: it has its figures up to step 70/70, in epoch 2/2.",
    );
    const [{ state, epochs, progress }] = reportFigures(report).runs;
    expect([state, epochs]).toEqual(["running", 1]);
    expect(progress).toMatchObject({ epoch: 2, step_in_epoch: 30, steps_per_epoch: 40, total_steps: 70 });
  });
});

describe("the comparison of runs that are not alike", () => {
  const rowsOf = (page: ReturnType<typeof htmlPage>, start: string): string[] =>
    page.texts("tr").filter((row) => row.startsWith(start));
  const compare = (name: string, other: string): ReturnType<typeof htmlPage> =>
    htmlPage(readFileSync(writeReport([first, other], join(root, `${name}.html`)).out, "utf8"));

  it("names no winner on different data", () => {
    const other = reportRun(join(root, "other data"), { validImages: 100, summary: { best_epoch: 4 } });
    const file = join(other, "config.json");
    const config = JSON.parse(readFileSync(file, "utf8"));
    const boats = { ...config.data.train, sha256: "1" };
    writeFileSync(file, JSON.stringify({ ...config, data: { ...config.data, path: "/data/boats", train: boats } }));
    const page = compare("data", other);
    expect(page.text()).toContain("The runs are on different data: their AP does not tell which is best.");
    expect(page.text()).toContain("The data differ: folders birds and boats.");
    expect(page.text()).not.toContain("is best:");
    expect(rowsOf(page, "best AP")).toEqual(["best AP0.4000.350"]);
    // A copy in another place is the same data.
    writeFileSync(file, JSON.stringify({ ...config, data: { ...config.data, path: "/copy/birds" } }));
    expect(compare("copy", other).text()).not.toContain("different data");
  });

  it("takes the time of a step apart without a rest", () => {
    const of = (page: ReturnType<typeof htmlPage>) =>
      ["time of a step", "of it "].flatMap((start) => rowsOf(page, start)).map((row) => row.replaceAll("★", ""));
    const [total, ...parts] = of(compare("apart", reportRun(join(root, "apart"))));
    const milliseconds = (row: string) => Number(/^\D*([\d.]+) ms/.exec(row)?.[1]);
    expect(parts.at(-1)).toMatch(/^of it between the steps/);
    expect(parts.map(milliseconds).reduce((a, b) => a + b)).toBeCloseTo(milliseconds(total), 9);
  });

  it("marks neither time nor memory where the numbers of steps differ", () => {
    const other = reportRun(join(root, "longer"), { steps: 44, summary: { train_seconds: 60, peak_rss_bytes: 1 } });
    const page = compare("steps", other);
    const rows = [...rowsOf(page, "training time"), ...rowsOf(page, "peak memory of the process")];
    expect(rows).toHaveLength(2);
    expect(rows.join()).not.toContain("★");
  });

  it("has the classes of the best evaluation where it was kept", () => {
    const other = reportRun(join(root, "kept"), { validImages: 100 });
    expect(compare("last", other).text()).toContain("AP of each class at the last evaluation");
    const details = exampleDetails();
    const per_class = details.per_class.map((each) => ({ ...each, AP: 0.9375 }));
    writeFileSync(join(other, "evaluation-best.json"), JSON.stringify({ ...details, per_class }));
    const page = compare("kept", other);
    expect(page.text()).toContain("at the best evaluation, or the last where the best was not kept");
    expect(page.texts("tr")).toContain("bird0.4000.938");
  });
});

describe("the comparison of runs", () => {
  const written = writeReport([first, second], join(root, "comparison.html"));
  const page = htmlPage(readFileSync(written.out, "utf8"));
  const text = page.text();

  it("tells runs of one name apart", () => {
    expect(page.texts("h1")).toEqual(["a/nano, b/nano"]);
    expect(text).toContain("a/nano has the highest AP, 0.400, 0.050 above the next. With one run of each");
  });

  it("marks no memory that differs by as little as machines do", () => {
    const close = ["e", "f"].map((name, i) =>
      reportRun(join(root, name, "nano"), { summary: { train_seconds: 75 - 6 * i, peak_rss_bytes: 5e8 - 3e7 * i } }),
    );
    const result = writeReport(close, join(root, "close.html"));
    expect(htmlPage(readFileSync(result.out, "utf8")).texts("tr").join()).not.toContain("★");
    expect(reportFigures(result).figures?.flatMap(({ best }) => best)).toEqual([]);
  });

  it("gives programs the runs that the table marks", () => {
    const seeds = [0.4, 0.41].map((AP, i) =>
      reportRun(join(root, "marked", String(i)), { AP, seed: i, validImages: 5000 }),
    );
    const other = reportRun(join(root, "marked", "other"), { AP: 0.1, validImages: 5000, settings: { lr: 0.002 } });
    const result = writeReport([other, ...seeds], join(root, "marked.html"));
    expect(htmlPage(readFileSync(result.out, "utf8")).texts("tr")).toContain("best AP0.1000.400 ★0.410 ★");
    expect(reportFigures(result).figures?.[0]).toMatchObject({ name: "best AP", best: [1, 2] });
  });

  it("has the limits of float16 side by side in one precision alone, and marks none", () => {
    const near = "near a limit of float16";
    expect(page.texts("tr").join()).not.toContain(near);
    expect(text).toContain(
      "The runs are in 16-mixed and bf16-mixed: how near their values came to the limits of float16 was not measured in the same way",
    );
    const other = reportRun(join(root, "fewer", "nano"), { steps: 20 });
    const rows = htmlPage(readFileSync(writeReport([first, other], join(root, "one.html")).out, "utf8")).texts("tr");
    expect(rows).toEqual(expect.arrayContaining(["watched steps53", expect.stringMatching(near)]));
    expect(rows.filter((row) => row.includes("of float16")).join()).not.toContain("★");
  });

  it("counts no value as near an overflow that float32 holds", () => {
    const least = (folder: string): unknown =>
      reportFigures(writeReport([first, folder], join(root, "wide.html"))).figures?.find(({ name }) =>
        name.endsWith("of float16, outputs"),
      )?.values;
    const folder = reportRun(join(root, "wide", "nano"));
    const before = least(folder);
    const wide = monitorRecord(40, { forward: [moduleRecord("head", 2 ** 20, { dtype: "float32" })] });
    appendFileSync(join(folder, "numerics.jsonl"), `${recordLine(wide)}\n`);
    expect(least(folder)).toEqual(before);
  });

  it("calls none the best while nothing was found", () => {
    const nothing = ["c", "d"].map((name) => {
      const folder = reportRun(join(root, name, "nano"));
      writeFileSync(join(folder, "metrics.csv"), "epoch,val/AP\n3,0\n");
      return folder;
    });
    const { out } = writeReport(nothing, join(root, "nothing.html"));
    expect(htmlPage(readFileSync(out, "utf8")).text()).toContain("All runs have AP 0: no detection was right so far.");
  });

  it("marks the better figures with a sign", () => {
    expect(page.texts("tr")).toEqual(
      expect.arrayContaining([
        "figure a/nano b/nano".replaceAll(" ", ""),
        "best AP0.4000.350",
        "training time1 min 15 s1 min 00 s",
        "optimizer steps4040",
        "skipped steps30 ★",
      ]),
    );
  });

  it("counts the time of a short training in seconds", () => {
    expect(page.texts("text")).toContain("seconds of training");
    expect(page.texts("text")).not.toContain("minutes of training");
  });

  it("lists the settings that differ, and no other", () => {
    const { settings, figures } = reportFigures(written);
    expect(settings).toEqual({
      lr: [0.001, 0.002],
      precision: ["16-mixed", "bf16-mixed"],
      "resolved precision": ["16-mixed", "bf16-mixed"],
    });
    expect(figures).toContainEqual({ name: "skipped steps", values: [3, 0], best: [1] });
    // Bfloat16 is not judged by the limits of float16.
    const ofFloat16 = (figures ?? []).filter(({ name }) => name.includes("of float16"));
    expect(ofFloat16).toHaveLength(3);
    expect(ofFloat16.flatMap(({ best }) => best)).toEqual([]);
  });

  it("draws the curves over each other, each with its own dashes", () => {
    expect(page.texts("figcaption").map((caption) => caption.slice(0, 11))).toEqual(
      expect.arrayContaining(["AP by epoch", "Training lo", "Loss scale", "Time of a s"]),
    );
    const [chart] = page.all("svg").filter(({ attrs }) => attrs.some(({ value }) => value.startsWith("AP by epoch")));
    const lines = chart.childNodes.flatMap((node) =>
      "attrs" in node && node.attrs.some(({ value }) => value.startsWith("f-stroke")) ? [node] : [],
    );
    expect(lines.map(({ attrs }) => attrs.find(({ name }) => name === "stroke-dasharray")?.value ?? "solid")).toEqual([
      "solid",
      "7 4",
    ]);
  });

  it("needs different runs, few enough to be told apart", () => {
    expect(() => writeReport([])).toThrow("Expected the folder of a run but received none");
    expect(() => writeReport([first, `${first}/`])).toThrow("twice");
    const many = Array.from({ length: 9 }, (_, i) => join(root, String(i)));
    expect(() => writeReport(many)).toThrow("Expected at most 8 runs to compare but received 9");
    expect(() => writeReport([first, join(root, "none")])).toThrow(`${basename("none")} does not exist`);
  });
});
