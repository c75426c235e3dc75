import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRecord, recordLine } from "@rfdetr/amp/records";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunDirectoryError } from "../../support/errors.js";
import { headerRecord, moduleRecord, monitorRecord, stepRecord } from "../../testing/runs/numerics-records.js";
import { epochEvent, stepEvent } from "../../testing/runs/run-events.js";
import type { EpochEvent } from "../events/events.js";
import { RunDirectory } from "../files/run-directory.js";
import type { Session } from "../session/session.js";
import { compactTerms } from "../steps/progress.js";
import { MetricsRecorder } from "./metrics.js";
import { NumericsRecorder, splitsProducts } from "./numerics.js";
import type { RecordedEpoch, RecordedStep, Recorder } from "./recorder.js";
import { unfailing } from "./unfailing.js";

let folder: string;
let session: Session;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "recorders-"));
  const directory = RunDirectory.create(join(folder, "run"), "run");
  directory.writeJson("config.json", {});
  session = {
    directory,
    resumed: true,
    progress: { step: 2, epoch: 1, stepInEpoch: 0 },
    warnings: [],
  } as unknown as Session;
});
afterEach(() => rmSync(folder, { recursive: true }));

const header = recordLine(headerRecord());
const stepLine = (step: number): string => recordLine(stepRecord(step));
const written = (name: string): string => readFileSync(session.directory.file(name), "utf8");

describe("recorders of a resumed run", () => {
  it("drop the records of steps after the checkpoint, and a line that a kill cut off", () => {
    const watched = recordLine(monitorRecord(2, { forward: [moduleRecord("head", Number.NaN)] }));
    const later = '{"v":1,"kind":"a kind of a later version","step":2}';
    const kept = [header, stepLine(1), stepLine(2), watched, later];
    writeFileSync(
      session.directory.file("numerics.jsonl"),
      `${[...kept, stepLine(3), later.replace("2}", "3}")].join("\n")}\n{"kind":"st`,
    );
    new NumericsRecorder(session);
    expect(written("numerics.jsonl")).toBe(`${kept.join("\n")}\n`);
  });

  it("drop damaged lines, say so once, and keep all others", () => {
    const good = [header, stepLine(1), stepLine(2)];
    const bad = ["", "\0\0", "null", "5", stepLine(1).replace('"step":1', '"step":"x"'), '{"v":1,"kind":"st'];
    bad.push(`\xff${stepLine(1)}`);
    const lines = [good[0], ...bad.slice(0, 4), good[1], ...bad.slice(4), good[2]];
    writeFileSync(session.directory.file("numerics.jsonl"), `${lines.join("\n")}\n`);
    new NumericsRecorder(session);
    expect(written("numerics.jsonl")).toBe(`${good.join("\n")}\n`);
    expect(session.warnings).toEqual(["7 damaged lines of numerics.jsonl were dropped"]);
  });

  it("read a log that is larger than any string", () => {
    const path = session.directory.file("numerics.jsonl");
    writeFileSync(path, `${header}\n${stepLine(1)}\n`);
    // A file with a hole: it takes no room on the disk.
    truncateSync(path, 600 * 2 ** 20);
    appendFileSync(path, `\n${stepLine(2)}\n${stepLine(3)}\n`);
    new NumericsRecorder(session);
    expect(written("numerics.jsonl")).toBe(`${header}\n${stepLine(1)}\n${stepLine(2)}\n`);
    expect(session.warnings).toEqual(["A damaged line of numerics.jsonl was dropped"]);
  });

  it("write the header of an emptied file again, and rows below a header of another version by its columns", () => {
    const row = { epoch: 2, ap: 0.5 };
    writeFileSync(session.directory.file("metrics.csv"), "");
    session.directory.appendRow("metrics.csv", row);
    expect(written("metrics.csv")).toBe("epoch,ap\n2,0.5\n");
    writeFileSync(session.directory.file("metrics.csv"), "1,0.25\n");
    session.directory.appendRow("metrics.csv", row);
    expect(written("metrics.csv")).toBe("epoch,ap\n1,0.25\n2,0.5\n");
    writeFileSync(session.directory.file("metrics.csv"), "epoch,old\n1,3\n");
    session.directory.appendRow("metrics.csv", row);
    expect(written("metrics.csv")).toBe("epoch,old,ap\n1,3,\n2,,0.5\n");
  });

  it("drop what is neither header nor row from metrics.csv", () => {
    writeFileSync(session.directory.file("metrics.csv"), "epoch,step\n\0\0\n1,2\n\n2,4\n3,");
    new MetricsRecorder(session);
    expect(written("metrics.csv")).toBe("epoch,step\n1,2\n");
    expect(session.warnings).toEqual(["2 damaged lines of metrics.csv were dropped"]);
  });

  it("drop the rows of epochs after the checkpoint, which one recorder may have written and another not", () => {
    writeFileSync(session.directory.file("metrics.csv"), "epoch,step\n1,2\n2,4\n");
    new MetricsRecorder(session);
    expect(written("metrics.csv")).toBe("epoch,step\n1,2\n");
  });

  it("write the losses of masks beside the others where there are some", () => {
    const progress = { ...session.progress, epochSums: { norms: { sum: 0, steps: 0 } }, trainSeconds: 1, skipped: 0 };
    session = { ...session, progress, settings: { evalMaxDets: 100 } } as unknown as Session;
    const recorder = new MetricsRecorder(session);
    const row = (event: EpochEvent): void => recorder.epoch({ event, summary: null, base: null } as RecordedEpoch);
    row(epochEvent);
    expect(written("metrics.csv")).not.toContain("mask");
    const terms = new Map([
      ["loss_mask_ce", 1],
      ["loss_mask_ce_0", 2],
      ["loss_mask_ce_enc", 4],
      ["loss_mask_dice", 8],
    ]);
    row({ ...epochEvent, terms: Object.fromEntries(compactTerms(terms)), valTerms: { loss_mask_ce: 16 } });
    const [head, first, second] = written("metrics.csv")
      .split("\n")
      .map((line) => line.split(","));
    const of = (name: string): (string | undefined)[] => [first, second].map((line) => line[head.indexOf(name)]);
    expect(of("train/loss_mask_ce")).toEqual(["", "1"]);
    expect(of("train/loss_mask_ce_aux")).toEqual(["", "6"]);
    expect(of("train/loss_mask_dice")).toEqual(["", "8"]);
    expect(of("val/loss_mask_ce")).toEqual(["", "16"]);
  });

  it("continue numerics.jsonl with every rollback", () => {
    writeFileSync(session.directory.file("numerics.jsonl"), `${header}\n`);
    new NumericsRecorder(session).rollback({ from: 2, to: 0, lrFactor: 0.5, fault: "loss" });
    const last = JSON.parse(written("numerics.jsonl").trimEnd().split("\n")[1]);
    expect(last).toMatchObject({ kind: "rollback", step: 2, to_step: 0, lr_factor: 0.5, fault: "loss" });
  });
});

describe("numerics.jsonl of several processes", () => {
  const none = { images: 0, forward: 0, loss: 0, backward: 0, optimizer: 0 };
  /** A step that ranks on such machines made. */
  const step = (number: number, hosts: readonly string[]): RecordedStep =>
    ({
      event: { ...stepEvent, step: number },
      result: { applied: true },
      seconds: 1,
      phases: { load: 0, ...none },
      ranks: hosts.map((host, rank) => ({ host, images: 4, work: 0.5 + rank, load: 0.1, wait: 0.25, gradNorm: 3 })),
      report: null,
      seen: null,
    }) as unknown as RecordedStep;

  it("names the machines when they change, and says of every step what each process did", () => {
    session = { ...session, parts: { device: "cpu" } } as unknown as Session;
    writeFileSync(session.directory.file("numerics.jsonl"), `${header}\n`);
    const recorder = new NumericsRecorder(session);
    for (const [i, hosts] of [["a", "b"], ["a", "b"], ["a"]].entries()) recorder.step(step(3 + i, hosts));
    const lines = written("numerics.jsonl")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ kind, step, hosts }) => [kind, step, hosts])).toEqual([
      ["header", undefined, undefined],
      ["group", 3, ["a", "b"]],
      ["step", 3, undefined],
      ["step", 4, undefined],
      ["group", 5, ["a"]],
      ["step", 5, undefined],
    ]);
    const both = { images: [4, 4], work: [0.5, 1.5], load: [0.1, 0.1], wait: [0.25, 0.25], grad_norm: [3, 3] };
    expect(lines[2].ranks).toEqual(both);
  });

  it("holds no word of ranks in a run of one process", () => {
    session = { ...session, parts: { device: "cpu" } } as unknown as Session;
    writeFileSync(session.directory.file("numerics.jsonl"), `${header}\n`);
    new NumericsRecorder(session).step({ ...step(3, []), ranks: null });
    expect(written("numerics.jsonl")).not.toMatch(/ranks|group/);
  });

  it("says after every step where the run is and how long it takes, as the event of the step does", () => {
    session = { ...session, parts: { device: "cpu" } } as unknown as Session;
    writeFileSync(session.directory.file("numerics.jsonl"), `${header}\n`);
    const recorder = new NumericsRecorder(session);
    const first = { ...stepEvent, step: 3, plannedEpochs: null, secondsLeft: Number.POSITIVE_INFINITY };
    recorder.step({ ...step(3, []), ranks: null, event: first });
    recorder.step({ ...step(4, []), ranks: null });
    const [, ...steps] = written("numerics.jsonl").trimEnd().split("\n").map(parseRecord);
    const progress = {
      step_in_epoch: 27,
      steps_per_epoch: 94,
      planned_epochs: 50,
      total_steps: 4700,
      skipped_steps: 2,
      images_per_second: 12.3,
      seconds_left: 3723,
    };
    expect(steps).toMatchObject([
      { step: 3, progress: { ...progress, planned_epochs: null, seconds_left: Number.POSITIVE_INFINITY } },
      { step: 4, progress },
    ]);
  });
});

describe("a log that cannot be written", () => {
  const full = new RunDirectoryError("numerics.jsonl cannot be written in x: the disk is full; free some space");
  const failing: Recorder = {
    step: () => {
      throw full;
    },
  };
  const step = {} as Parameters<NonNullable<Recorder["step"]>>[0];

  it("is said once, and does not end the run", () => {
    const recorder = unfailing(session, () => failing);
    recorder.step?.(step);
    recorder.step?.(step);
    unfailing(session, () => {
      throw full;
    }).step?.(step);
    expect(session.warnings).toEqual(Array(2).fill(`${full.message}. The run goes on, and its records have gaps`));
  });

  it("for a fault of the program is no reason to go on", () => {
    const recorder = unfailing(session, () => ({
      step: () => {
        throw new TypeError("x");
      },
    }));
    expect(() => recorder.step?.(step)).toThrow(TypeError);
  });

  it("holds no part of a line afterwards", () => {
    const path = session.directory.file("n.jsonl");
    session.directory.append("n.jsonl", "whole\n");
    const { length } = readFileSync(path);
    // The kernel's limit on the size of files stops a write half-way, as a full disk does.
    const limited = spawnSync("bash", [
      "-c",
      `ulimit -f 1; trap '' XFSZ; exec "$0" --input-type=module -e "$1"`,
      process.execPath,
      `import { RunDirectory } from ${JSON.stringify(new URL("../../../dist/run/files/run-directory.js", import.meta.url).href)};
       import { writeFileSync } from "node:fs";
       const run = RunDirectory.at(${JSON.stringify(session.directory.path)});
       try { run.append("n.jsonl", "x".repeat(5000)); } catch (error) { console.log(error.constructor.name); }`,
    ]);
    expect(limited.stdout.toString()).toBe("RunDirectoryError\n");
    expect(readFileSync(path).length).toBe(length);
  });
});

it("bf16x3 sums bfloat16 products where own kernels multiply pairs of them, and nowhere else", () => {
  const features = ["avx2", "avx512f", "avx512_bf16"];
  expect(splitsProducts("cpu", "avx512", features)).toBe(true);
  expect(splitsProducts("cuda:0", "avx512", features)).toBe(false);
  expect(splitsProducts("cpu", "avx2", features)).toBe(false);
  expect(splitsProducts("cpu", "avx512", ["avx512f"])).toBe(false);
  expect(splitsProducts("cpu", "avx512", [...features, "amx_bf16"])).toBe(false);
  expect(splitsProducts("cpu", "amx", [...features, "amx_bf16"])).toBe(true);
});
