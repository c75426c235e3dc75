import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RankColumns } from "../../run/files/numerics/rank-records.js";
import { type ExampleRun, writeExampleRun } from "../../testing/runs/example-run.js";
import { stepRecord } from "../../testing/runs/numerics-records.js";
import { rankSentences } from "../html/rank-words.js";
import { NumericsReader } from "./numerics-reader.js";
import { RankCollector, type RankSummary, slowRank } from "./ranks.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ranks-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Reads an example run, with lines that were added to its records. */
function read(options: ExampleRun, ...lines: object[]) {
  writeExampleRun(join(folder, "run"), { watchedEvery: 0, ...options });
  appendFileSync(join(folder, "run", "numerics.jsonl"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const reader = new NumericsReader(join(folder, "run"));
  reader.read();
  return reader.record();
}

/** Steps of processes that work so long, and wait for the slowest of them and 0.1 s more. */
function steps(work: readonly number[], { count = 20, load = work.map(() => 0) } = {}): RankSummary {
  const collector = new RankCollector();
  collector.group({ v: 1, kind: "group", step: 1, hosts: work.map((_, rank) => `host-${rank}`) });
  const wait = work.map((seconds) => Math.max(...work) - seconds + 0.1);
  const columns: RankColumns = { images: work.map(() => 4), work: [...work], load, wait, grad_norm: work.map(() => 1) };
  for (let step = 1; step <= count; step++) collector.add(step, columns, { norm: 1, skipped: false });
  return collector.summary() as RankSummary;
}

describe("the processes of a run", () => {
  it("are not there in a run of one", () => {
    expect(read({ steps: 20 }).ranks).toBeNull();
  });

  it("have means, machines and the course of each", () => {
    const { ranks, damagedLines } = read({ steps: 200, hosts: ["a", "b"] });
    expect(damagedLines).toBe(0);
    expect(ranks).toMatchObject({ since: 1, steps: 200, images: 8 });
    expect(ranks?.ranks.map(({ rank, host }) => [rank, host])).toEqual([
      [0, "a"],
      [1, "b"],
    ]);
    expect(ranks?.ranks[1].work).toBeCloseTo(0.247, 2);
    expect(ranks?.exchange).toBeCloseTo(0.013, 3);
    const named = ["work.0", "work.1", "wait.0", "wait.1", "grad_norm.0", "grad_norm.1", "noise_scale"];
    expect(Object.keys(ranks?.points.courses ?? {}).sort()).toEqual(named.sort());
  });

  it("have no gradient norm where a process computes several shares of a step", () => {
    const collector = new RankCollector();
    const columns = { images: [4, 4], work: [1, 1], load: [0, 0], wait: [0, 0], grad_norm: [Number.NaN, Number.NaN] };
    for (let step = 1; step <= 60; step++) collector.add(step, columns, { norm: 1, skipped: false });
    const summary = collector.summary() as RankSummary;
    expect(summary.ranks.map(({ gradNorm }) => gradNorm)).toEqual([Number.NaN, Number.NaN]);
    expect(summary.noiseScale).toBeNull();
    collector.add(61, { ...columns, grad_norm: [2, 3] }, { norm: 4, skipped: false });
    expect(collector.summary()?.ranks.map(({ gradNorm }) => gradNorm)).toEqual([2, 3]);
  });

  it("begin anew where the run was continued with others", () => {
    const columns = { images: [4, 4], work: [1, 1], load: [0, 0], wait: [0, 0], grad_norm: [1, "nan"] };
    const { ranks } = read(
      { steps: 20, hosts: ["a", "b", "c", "d"] },
      { v: 1, kind: "group", step: 21, hosts: ["a", "b"] },
      { ...stepRecord(21), ranks: columns },
    );
    expect(ranks).toMatchObject({ since: 21, steps: 1, ranks: [{ host: "a", work: 1 }, { host: "b" }] });
  });

  it("are left out of a record that is damaged, and have no machine where the group is not recorded", () => {
    const columns = { images: [4, 4], work: [1, 1], load: [0, 0], wait: [0, 0], grad_norm: [1, 1] };
    const { ranks, steps } = read(
      { steps: 20 },
      { ...stepRecord(21), ranks: { ...columns, work: [1] } },
      { ...stepRecord(22), ranks: "many" },
      { ...stepRecord(23), ranks: columns },
    );
    expect(steps).toBe(23);
    expect(ranks).toMatchObject({ since: 23, steps: 1, ranks: [{ host: "" }, { host: "" }] });
  });

  it("have the extremes in place of each, where they are many", () => {
    const { courses } = steps([1, 2, 3, 4, 5, 6, 7, 8, 9]).points;
    expect(courses["work.least"].mean[0]).toBe(1);
    expect(courses["work.median"].mean[0]).toBe(5);
    expect(courses["work.most"].mean[0]).toBe(9);
    expect(courses["work.0"]).toBeUndefined();
  });
});

describe("a slow process", () => {
  it("is the one that works much longer than the others", () => {
    expect(slowRank(steps([1, 1.3, 1, 1.02]))).toMatchObject({ rank: 1, host: "host-1", work: 1.3, others: 1 });
    expect(slowRank(steps([1, 1.1, 1, 1.02]))).toBeNull();
    expect(slowRank(steps([1, 2], { count: 5 }))).toBeNull();
    expect(slowRank(steps([1]))).toBeNull();
  });

  it("is named in a sentence, with what it waits for", () => {
    expect(rankSentences(steps([1, 1.5, 1], { load: [0, 0.4, 0] }))[0]).toBe(
      "Rank 1 on host-1 is slow: it works 1.5 s a step, the others 1 s, and every step waits for it. Waiting for its images makes 400 ms of the difference",
    );
    expect(rankSentences(steps([1, 1.5, 1]))[0]).toBe(
      "Rank 1 on host-1 is slow: it works 1.5 s a step, the others 1 s, and every step waits for it",
    );
    expect(rankSentences(steps([1, 1.05]))).toEqual([
      "The processes keep pace: each works 1 s to 1.05 s a step",
      "Exchanging gradients takes 100 ms of a step, 8.7 %: even the process that waits least waits that long",
    ]);
  });
});

describe("the noise scale of the gradients of a run", () => {
  it("tells what more processes would save", () => {
    const { ranks } = read({ steps: 3000, hosts: ["a", "b"], seed: 5 });
    expect(Math.abs((ranks?.noiseScale ?? 0) / 48 - 1)).toBeLessThan(0.25);
    expect(rankSentences(ranks as RankSummary).at(-1)).toMatch(
      /^The gradient noise scale is about \d+ images and a step has 8: with twice as many processes a run would need 4\d % fewer steps$/,
    );
  });

  it("is told as a reason against more of them where the batch is large already", () => {
    const summary = { ...steps([1, 1]), images: 500, noiseScale: 60 };
    expect(rankSentences(summary).at(-1)).toMatch(/a run would need only 5.4 % fewer steps$/);
  });
});
