import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunDirectory } from "../files/run-directory.js";
import type { Session } from "../session/session.js";
import { MetricsRecorder } from "./metrics.js";
import { NumericsRecorder } from "./numerics.js";

let folder: string;
let session: Session;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "recorders-"));
  const directory = RunDirectory.create(join(folder, "run"), "run");
  session = { directory, resumed: true, progress: { step: 2, epoch: 1 } } as unknown as Session;
});
afterEach(() => rmSync(folder, { recursive: true }));

const written = (name: string): string => readFileSync(session.directory.file(name), "utf8");

describe("recorders of a resumed run", () => {
  it("drop the records of steps after the checkpoint, and a line that a kill cut off", () => {
    const kept = [
      '{"kind":"header"}',
      '{"kind":"step","step":1}',
      '{"kind":"step","step":2}',
      '{"kind":"monitor","step":2}',
    ];
    writeFileSync(
      session.directory.file("numerics.jsonl"),
      `${[...kept, '{"kind":"step","step":3}'].join("\n")}\n{"kind":"st`,
    );
    new NumericsRecorder(session);
    expect(written("numerics.jsonl")).toBe(`${kept.join("\n")}\n`);
  });

  it("keep a damaged line, which says nothing of its step, and go on", () => {
    const lines = ['{"kind":"header"}', "", "\0\0", "null", '{"kind":"step","step":2}'];
    writeFileSync(session.directory.file("numerics.jsonl"), `${[...lines, '{"kind":"step","step":3}'].join("\n")}\n`);
    new NumericsRecorder(session);
    expect(written("numerics.jsonl")).toBe(`${lines.join("\n")}\n`);
  });

  it("drop the rows of epochs after the checkpoint, which one recorder may have written and another not", () => {
    writeFileSync(session.directory.file("metrics.csv"), "epoch,step\n1,2\n2,4\n");
    new MetricsRecorder(session);
    expect(written("metrics.csv")).toBe("epoch,step\n1,2\n");
  });

  it("continue numerics.jsonl with every rollback", () => {
    writeFileSync(session.directory.file("numerics.jsonl"), '{"kind":"step","step":2}\n');
    new NumericsRecorder(session).rollback({ from: 2, to: 0, lrFactor: 0.5, fault: "loss" });
    const last = JSON.parse(written("numerics.jsonl").trimEnd().split("\n")[1]);
    expect(last).toMatchObject({ kind: "rollback", step: 2, to_step: 0, lr_factor: 0.5, fault: "loss" });
  });
});
