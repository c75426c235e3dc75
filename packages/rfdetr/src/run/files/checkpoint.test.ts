import { existsSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getRngState, tensor } from "@rfdetr/torch";
import { beforeEach, describe, expect, it } from "vitest";
import {
  type CheckpointTensors,
  loadCheckpoint,
  readProgress,
  type SavedProgress,
  saveCheckpoint,
} from "./checkpoint.js";

const progress = (step: number): SavedProgress => ({
  epoch: 1,
  stepInEpoch: 2,
  step,
  applied: step,
  skipped: 0,
  trainSeconds: 1.5,
  epochSums: { loss: 3, steps: 2, images: 16, seconds: 1, terms: { loss_ce: 1 } },
  best: null,
  earlyStopping: { best: -1, waited: 0 },
  scaler: null,
  finished: false,
});

const tensors = (value: number): CheckpointTensors => ({
  model: new Map([["w", tensor([value, 2])]]),
  ema: { tensors: new Map([["w", tensor([value / 2, 1])]]), updates: 7 },
  optimizer: { step: 9, expAvg: [tensor([value])], expAvgSq: [tensor([value * value])] },
  rng: getRngState(),
});

let folder: string;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "checkpoint-")), "checkpoint");
});

describe("checkpoints", () => {
  it("come back as they were written", () => {
    const written = tensors(3);
    saveCheckpoint(folder, progress(5), written);
    const read = loadCheckpoint(folder);
    expect(read.progress).toEqual(progress(5));
    expect(read.model.get("w")?.toList()).toEqual([3, 2]);
    expect(read.ema?.updates).toBe(7);
    expect(read.ema?.tensors.get("w")?.toList()).toEqual([1.5, 1]);
    expect(read.optimizer).toMatchObject({ step: 9 });
    expect(read.optimizer.expAvgSq.map((t) => t.toList())).toEqual([[9]]);
    expect(read.rng.toArray()).toEqual(written.rng.toArray());
  });

  it("stay whole when writing the next one fails half-way", () => {
    saveCheckpoint(folder, progress(5), tensors(3));
    const failing = tensors(4);
    failing.rng.dispose();
    expect(() => saveCheckpoint(folder, progress(6), failing)).toThrow();
    expect(readProgress(folder).step).toBe(5);
    expect(loadCheckpoint(folder).model.get("w")?.toList()).toEqual([3, 2]);
    expect(readdirSync(join(folder, ".."))).toEqual(["checkpoint"]);
  });

  it("do without an average", () => {
    saveCheckpoint(folder, progress(1), { ...tensors(1), ema: null });
    expect(loadCheckpoint(folder).ema).toBeNull();
    expect(existsSync(join(folder, "ema.safetensors"))).toBe(false);
  });

  it("are refused when cut in half or of another layout", () => {
    saveCheckpoint(folder, progress(1), tensors(1));
    writeFileSync(join(folder, "state.json"), '{"layout": 99}');
    expect(() => loadCheckpoint(folder)).toThrow("Expected a checkpoint of layout 1");
    writeFileSync(join(folder, "state.json"), '{"lay');
    expect(() => readProgress(folder)).toThrow("cannot be read");
  });
});
