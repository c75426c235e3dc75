import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { type ModuleRecord, recordLine, type UpdateRecord } from "@rfdetr/amp/records";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { MonitorRecord, StepRecord } from "../../run/files/numerics/numerics-records.js";
import { headerRecord, moduleRecord, monitorRecord, stepRecord } from "../../testing/runs/numerics-records.js";
import { NumericsReader } from "./numerics-reader.js";
import { RunReader, readRun } from "./run-record.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "report-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const put = (name: string, content: unknown): void =>
  writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
const add = (...records: object[]): void =>
  appendFileSync(join(folder, "numerics.jsonl"), records.map((record) => `${recordLine(record)}\n`).join(""));

const header = headerRecord();
const step = stepRecord;
const skippedStep = (number: number, values: Partial<StepRecord> = {}): StepRecord =>
  step(number, { skipped: true, loss: Number.NaN, fault: "gradient", bad_parameter: "head.weight", ...values });
const moduleOf = (amax: number, counts: number[] = [1, 2], first = -3): ModuleRecord =>
  moduleRecord("head", amax, { fp16_flush: 0.25, exponents: { first, counts } });
const watchedStep = (number: number, module = moduleOf(number), updates: UpdateRecord[] = []): MonitorRecord =>
  monitorRecord(number, { scale: 8, forward: [module], updates });

const config = {
  settings: { epochs: 3, lr: 0.1 },
  class_names: ["bird"],
  precision: "16-mixed",
  versions: { rfdetr: "0.1.0" },
  a_field_of_a_later_version: 1,
};
const summary = {
  AP: 0.5,
  AP50: 0.75,
  precision: "16-mixed",
  reason: "as requested",
  epochs: 2,
  steps: 20,
  skipped_steps: 1,
  train_seconds: 9.5,
  peak_rss_bytes: 1e9,
  stop_reason: "finished",
};

describe("the folder of a run", () => {
  it("tells what it was and how it ended", () => {
    put("config.json", config);
    put("summary.json", summary);
    put("metrics.csv", "epoch,train/loss,val/AP\n1,3.5,\n2,NaN,0.5\n");
    put("evaluation.json", { AP: 0.5, per_class: [{ class_name: "bird", AP: 0.5 }] });
    add(header, step(1), step(2));
    expect(readRun(folder)).toMatchObject({
      folder,
      state: "ended",
      config: { settings: { lr: 0.1 }, class_names: ["bird"], changes: [] },
      summary: { AP: 0.5, stop_reason: "finished", best_epoch: null, error: null },
      metrics: {
        columns: ["epoch", "train/loss", "val/AP"],
        rows: [
          { epoch: 1, "train/loss": 3.5, "val/AP": null },
          { epoch: 2, "train/loss": Number.NaN, "val/AP": 0.5 },
        ],
      },
      evaluation: { AP: 0.5 },
      numerics: { header: { precision: "16-mixed" }, steps: 2, skipped: 0, lastStep: 2 },
      test: null,
      pictures: [],
      faults: [],
    });
  });

  it("is one with only some of the files, as a run that has just begun leaves it", () => {
    put("config.json", config);
    expect(readRun(folder)).toMatchObject({ state: "broken off", summary: null, numerics: { steps: 0 }, faults: [] });
  });

  it("is in progress while a process holds it", () => {
    put("config.json", config);
    put("lock", { pid: process.pid, host: hostname(), started: "2026-01-01", process: null });
    expect(readRun(folder).state).toBe("running");
    expect(readRun(folder).numerics.progress).toBeNull();
    put("lock", { pid: 2 ** 22 + 1, host: hostname(), started: "2026-01-01", process: null });
    expect(readRun(folder).state).toBe("broken off");
  });

  it("says where it was after its last step, which is no figure of a curve", () => {
    const progress = {
      step_in_epoch: 2,
      steps_per_epoch: 8,
      planned_epochs: 3,
      total_steps: 24,
      skipped_steps: 1,
      images_per_second: 9.5,
      seconds_left: Number.POSITIVE_INFINITY,
    };
    const lines = (last: object): string =>
      [stepRecord(9), stepRecord(10, { epoch: 2, progress: { ...progress, ...last } })].map(recordLine).join("\n");
    put("config.json", config);
    put("numerics.jsonl", `${lines({})}\n`);
    const { numerics } = readRun(folder);
    expect(numerics.progress).toEqual({ epoch: 2, ...progress });
    expect(Object.keys(numerics.points.courses).filter((name) => name.includes("progress"))).toEqual([]);
    put("numerics.jsonl", `${lines({ total_steps: -1 })}\n`);
    expect(readRun(folder).numerics).toMatchObject({ lastStep: 10, progress: null, faults: [] });
  });

  it("says in words what is damaged, and gives the rest", () => {
    put("config.json", { ...config, settings: 5 });
    put("summary.json", '{"AP": 0.5');
    put("evaluation.json", "[]");
    put("metrics.csv", "epoch,val/AP\n1,0.5\n\0\0\n2,x\n3,0.75\n");
    put("numerics.jsonl", `${JSON.stringify(step(1))}\n{"v":1,"ki\n${JSON.stringify(step(3))}\n{"v":1,"kind":"st`);
    const { faults, metrics, numerics } = readRun(folder);
    expect(metrics.rows.map(({ epoch }) => epoch)).toEqual([1, 3]);
    expect(numerics.steps).toBe(2);
    expect(faults).toEqual([
      "config.json cannot be used: Expected an object for settings but received 5 in config.json: it is damaged",
      expect.stringMatching(/^summary\.json cannot be used: Expected JSON in .* it ends in the middle/),
      "2 lines of metrics.csv are damaged and were left out",
      "evaluation.json cannot be used: evaluation.json is damaged, or of another program",
      "Line 2 of numerics.jsonl is damaged and was left out",
    ]);
  });

  it("gives no evaluation with a figure that is no number", () => {
    put("config.json", config);
    const birds = { class_name: "bird", AP: 0.5, AP50: "" };
    put("evaluation.json", { AP: 0.5, per_class: [birds] });
    put("test.json", { AP: {}, per_class: [] });
    expect(readRun(folder)).toMatchObject({ evaluation: null, test: null });
    expect(readRun(folder).faults).toEqual(
      ["evaluation", "test"].map((name) => expect.stringContaining(`${name}.json is damaged, or of another program`)),
    );
  });

  it("gives no figure that cannot be", () => {
    const summary = { AP: 0.5, AP50: 0.75, precision: "32-true", reason: "", epochs: 1, steps: 2, skipped_steps: 0 };
    const rest = { train_seconds: 1, peak_rss_bytes: 2, stop_reason: "finished" };
    put("config.json", config);
    put("summary.json", { ...summary, ...rest, mask_AP: 1.7 });
    put("metrics.csv", "epoch,val/AP,val/mask_AR\n1,0.5,0.5\n2,1e308,\n3,0.5,7\n4,-1,\n");
    put("evaluation.json", { AP: 0.5, per_class: [], masks: { AP: -3, per_class: [] } });
    const record = readRun(folder);
    expect(record).toMatchObject({ summary: null, evaluation: null });
    expect(record.metrics.rows.map(({ epoch }) => epoch)).toEqual([1, 4]);
    expect(record.faults).toEqual([
      "summary.json cannot be used: summary.json is damaged, or of another program",
      "2 lines of metrics.csv are damaged and were left out",
      "evaluation.json cannot be used: evaluation.json is damaged, or of another program",
    ]);
    put("summary.json", { ...summary, ...rest, mask_AP: 0.7 });
    expect(readRun(folder).summary).toMatchObject({ mask_AP: 0.7 });
  });

  it("says what is no file, and does not wait for the writer of a pipe", () => {
    put("config.json", config);
    mkdirSync(join(folder, "evaluation.json"));
    const pipes = process.platform === "win32" ? [] : ["metrics.csv"];
    for (const name of pipes) execFileSync("sh", ["-c", 'mkfifo "$0"', join(folder, name)]);
    expect(readRun(folder).faults).toEqual(
      [...pipes, "evaluation.json"].map(
        (name) => `${name} cannot be used: Expected a file but it is a folder, a pipe or a device`,
      ),
    );
  });

  it("lists those pictures of the index that are there, and no file outside of the folder of pictures", () => {
    put("config.json", config);
    mkdirSync(join(folder, "pictures"));
    put("pictures/labels.jpg", "x");
    const entry = (file: string): object => ({ file, kind: "labels", title: "Labels", alt: "x", width: 2, height: 1 });
    put("pictures/pictures.json", ["labels.jpg", "gone.jpg", "../config.json", "../pictures/labels.jpg"].map(entry));
    expect(readRun(folder).pictures.map(({ file }) => file)).toEqual(["labels.jpg"]);
  });

  it("names what it cannot look into", () => {
    put("config.json", config);
    put("pictures", "a file");
    const record = readRun(folder);
    expect(record.pictures).toEqual([]);
    expect(record.faults).toEqual(["pictures/pictures.json cannot be used: a part of the path is a file"]);
  });

  it("says which pictures of the index are none, and what is no index", () => {
    put("config.json", config);
    mkdirSync(join(folder, "pictures"));
    put("pictures/labels.jpg", "x");
    const entry = { file: "labels.jpg", kind: "labels", title: "Labels", alt: "x", width: 2, height: 1 };
    const read = (index: unknown): [number, string[]] => {
      put("pictures/pictures.json", index);
      const { pictures, faults } = readRun(folder);
      return [pictures.length, faults];
    };
    expect(read([entry])).toEqual([1, []]);
    for (const [wrong, fault] of [
      [{ ...entry, title: 7 }, "Expected a text for title but received 7"],
      [{ ...entry, width: "2" }, 'Expected a number for width but received "2"'],
      [{ ...entry, epoch: 1.5 }, "Expected an integer for epoch but received 1.5"],
      ["labels.jpg", 'Expected an object for the whole but received "labels.jpg"'],
    ] as const)
      expect(read([entry, wrong])).toEqual([
        1,
        [`Of pictures/pictures.json, 1 entry is damaged and left out: ${fault} of entry 2`],
      ]);
    expect(read({ entry })[1]).toEqual([
      expect.stringMatching(/^pictures\/pictures\.json cannot be used: Expected a list of pictures in pictures\.json/),
    ]);
  });

  it("is refused where it is not that of a run, with the one that was probably meant", () => {
    put("config.json", config);
    mkdirSync(join(folder, "weights"));
    expect(() => readRun(join(folder, "weights"))).toThrow(`${join(folder, "weights")} is a part of one`);
    expect(() => readRun(join(folder, "config.json"))).toThrow("config.json is a file");
    expect(() => readRun(join(folder, "weigths"))).toThrow(`does not exist: did you mean ${join(folder, "weights")}?`);
    rmSync(join(folder, "config.json"));
    expect(() => readRun(folder)).toThrow("has none of config.json, metrics.csv, numerics.jsonl, summary.json");
  });

  it("is read again only where it changed", () => {
    put("config.json", config);
    add(header, step(1));
    const reader = new RunReader(folder);
    const before = reader.read();
    add(step(2));
    put("summary.json", summary);
    const after = reader.read();
    expect(before).toMatchObject({ summary: null, numerics: { steps: 1 } });
    expect(after).toMatchObject({ summary: { AP: 0.5 }, numerics: { steps: 2 } });
    expect(after.config).toBe(before.config);
  });
});

describe("steps", () => {
  it("are thinned to points that keep each extreme", () => {
    const losses = Array.from({ length: 1000 }, (_, i) => (i === 500 ? 99 : i === 700 ? -99 : (i % 10) / 10));
    add(...losses.map((loss, i) => step(i + 1, { loss })));
    const { points } = readRun(folder, { points: 50 }).numerics;
    expect(points.width).toBe(32);
    expect(points.first.slice(0, 3)).toEqual([1, 33, 65]);
    expect(points.last.at(-1)).toBe(1000);
    expect(points.records.reduce((sum, records) => sum + records, 0)).toBe(1000);
    const { min, max, last } = points.courses.loss;
    expect(Math.max(...max)).toBe(99);
    expect(Math.min(...min)).toBe(-99);
    expect(last.at(-1)).toBe(0.9);
  });

  it("count and are left out of the course where their value is not finite", () => {
    add(
      step(1, { loss: 4 }),
      skippedStep(2, { grad_norm: Number.POSITIVE_INFINITY }),
      step(3, { loss: 8, grad_norm: 2 }),
    );
    const { points, skipped } = readRun(folder, { points: 2 }).numerics;
    expect(skipped).toBe(1);
    expect(points).toMatchObject({ width: 2, first: [1, 3], last: [2, 3], records: [2, 1], skipped: [1, 0] });
    expect(points.courses.loss).toEqual({ min: [4, 8], max: [4, 8], mean: [4, 8], last: [4, 8] });
    expect(points.courses.grad_norm.mean).toEqual([1, 2]);
  });

  it("have a course for every number, those in groups too, also where a version adds some", () => {
    add(step(1), { ...step(2), figure: 5, group: { figure: 7 } });
    const { courses } = readRun(folder).numerics.points;
    expect(courses["memory.peak_bytes"].max).toEqual([9e6, 9e6]);
    expect(courses.figure.max).toEqual([Number.NaN, 5]);
    expect(courses["group.figure"].max).toEqual([Number.NaN, 7]);
    expect(Object.keys(courses)).not.toContain("step");
  });

  it("that were done twice after a rollback lie at the same place", () => {
    add(step(1), step(2, { loss: 50 }), { v: 1, kind: "rollback", step: 2, to_step: 1, lr_factor: 0.5, fault: "loss" });
    add(step(2, { loss: 3 }), step(3));
    const { points, rollbacks, steps } = readRun(folder).numerics;
    expect(points.first).toEqual([1, 2, 3]);
    expect(points.courses.loss).toMatchObject({ max: [2, 50, 2], last: [2, 3, 2] });
    expect(steps).toBe(4);
    expect(rollbacks).toMatchObject({ total: 1, entries: [{ to_step: 1, lr_factor: 0.5 }] });
  });

  it("that were skipped one after the other are one fault, with what followed", () => {
    add(skippedStep(1, { scale: 4096 }), skippedStep(2, { scale: 2048 }), step(3), step(4), skippedStep(5));
    const { skippedRuns, scaleChanges } = readRun(folder).numerics;
    const fault = { fault: "gradient", bad_parameter: "head.weight", bad_module: null };
    expect(skippedRuns).toEqual({
      total: 2,
      entries: [
        { first: 1, last: 2, steps: 2, scale: 4096, ...fault, next: { step: 3, scale: 1024 } },
        { first: 5, last: 5, steps: 1, scale: 1024, ...fault, next: null },
      ],
    });
    expect(scaleChanges.entries).toEqual([
      { step: 1, scale: 4096 },
      { step: 2, scale: 2048 },
      { step: 3, scale: 1024 },
    ]);
  });

  it("of a long run with many faults keep the first and the last of them, and their number", () => {
    add(...Array.from({ length: 2000 }, (_, i) => (i % 2 === 0 ? skippedStep(i + 1) : step(i + 1))));
    const { total, entries } = readRun(folder).numerics.skippedRuns;
    expect([total, entries.length, entries[0].first, entries[399].first]).toEqual([1000, 400, 1, 1999]);
  });
});

describe("watched steps", () => {
  it("are joined where they are many: the largest values, the sums of histograms", () => {
    add(watchedStep(1, moduleOf(5, [1, 2], -3)), watchedStep(10, moduleOf(2, [4, 8], -2)), watchedStep(20));
    const { watched, latest } = readRun(folder, { watched: 2 }).numerics;
    expect(watched).toMatchObject([
      { first: 1, last: 10, records: 2, forward: [{ amax: 5, exponents: { first: -3, counts: [1, 6, 8] } }] },
      { first: 20, last: 20, records: 1 },
    ]);
    expect(latest?.step).toBe(20);
  });

  it("never are more than asked for, in the order of the steps", () => {
    add(...Array.from({ length: 100 }, (_, i) => watchedStep(i + 1)));
    const { watched } = readRun(folder, { watched: 8 }).numerics;
    expect(watched.length).toBeLessThanOrEqual(8);
    expect(watched.reduce((sum, { records }) => sum + records, 0)).toBe(100);
    watched.slice(1).forEach(({ first }, i) => {
      expect(first).toBe(watched[i].last + 1);
    });
  });

  it("keep a value that was not a number, and read figures that JSON lacks", () => {
    add(watchedStep(1, moduleOf(Number.NaN)), watchedStep(2), watchedStep(3, moduleOf(Number.POSITIVE_INFINITY)));
    const { watched } = readRun(folder, { watched: 2 }).numerics;
    expect(watched.map(({ forward }) => forward[0].amax)).toEqual([Number.NaN, Number.POSITIVE_INFINITY]);
  });

  it("tell the largest update of their steps, and the mean share that is lost", () => {
    const update = (ratio: number, bf16_lost: number): UpdateRecord[] => [{ name: "w", ratio, bf16_lost }];
    add(watchedStep(1, undefined, update(0.5, 0)), watchedStep(2, undefined, update(0.25, 1)), watchedStep(3));
    const [{ updates }] = readRun(folder, { watched: 2 }).numerics.watched;
    expect(updates).toEqual([{ name: "w", ratio: 0.5, bf16_lost: 0.5 }]);
  });

  it("are damaged lines where they do not hold what they should", () => {
    add(watchedStep(1), { ...watchedStep(2), forward: [5] }, { v: 1, kind: "overflow", step: 2 });
    add({ v: 1, kind: "a kind of a later version" }, { v: 2, kind: "step", step: 3 });
    expect(readRun(folder).faults).toEqual([
      "3 lines of numerics.jsonl are damaged and were left out, the first of them line 2",
    ]);
  });
});

describe("a file that grows", () => {
  it("is read on from where the last reading stopped, an incomplete line only when it is whole", () => {
    add(step(1));
    const reader = new NumericsReader(folder);
    expect(reader.read()).toEqual({ changed: true, more: false });
    expect(reader.read()).toEqual({ changed: false, more: false });
    const line = JSON.stringify(step(2));
    appendFileSync(join(folder, "numerics.jsonl"), line.slice(0, 20));
    expect(reader.read()).toEqual({ changed: false, more: false });
    appendFileSync(join(folder, "numerics.jsonl"), `${line.slice(20)}\n`);
    reader.read();
    expect(reader.record()).toMatchObject({ steps: 2, damagedLines: 0 });
  });

  it("can be read a piece at a time", () => {
    add(...Array.from({ length: 10 }, (_, i) => step(i + 1)));
    const reader = new NumericsReader(folder);
    const sizes: number[] = [];
    for (let more = true; more; ) {
      more = reader.read(300).more;
      sizes.push(reader.record().steps);
    }
    expect(sizes.length).toBeGreaterThan(2);
    expect(sizes.at(-1)).toBe(10);
  });

  it("is read from its start again after it was cut, as a resumed run does, or replaced", () => {
    add(step(1), step(2), step(3, { loss: 77 }));
    const reader = new NumericsReader(folder);
    reader.read();
    const whole = JSON.stringify(step(1)).length + 1;
    truncateSync(join(folder, "numerics.jsonl"), whole);
    add(step(2, { loss: 5 }), step(3, { loss: 6 }), step(4));
    expect(reader.read()).toEqual({ changed: true, more: false });
    expect(reader.record().points.courses.loss.max).toEqual([2, 5, 6, 2]);
    rmSync(join(folder, "numerics.jsonl"));
    expect(reader.read().changed).toBe(true);
    expect(reader.record().steps).toBe(0);
    expect(reader.record().faults).toEqual([]);
  });

  it("can be followed without its watched steps", () => {
    add(step(1), watchedStep(1), step(2));
    expect(readRun(folder, { watched: 0 }).numerics).toMatchObject({ steps: 2, watched: [], latest: null, faults: [] });
  });
});
