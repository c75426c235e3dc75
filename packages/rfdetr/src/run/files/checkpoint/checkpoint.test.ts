import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tensor } from "@rfdetr/torch";
import { beforeEach, describe, expect, it } from "vitest";
import { initialProgress } from "../../steps/progress.js";
import {
  type CheckpointTensors,
  loadCheckpoint,
  readProgress,
  type SavedProgress,
  saveCheckpoint,
  soundCheckpoint,
} from "./checkpoint.js";

const progress = (step: number): SavedProgress => ({
  epoch: 1,
  stepInEpoch: 2,
  step,
  applied: step,
  skipped: 0,
  trainSeconds: 1.5,
  epochSums: { loss: 3, steps: 2, images: 16, seconds: 1, terms: { loss_ce: 1 }, norms: { sum: 4, steps: 2 } },
  best: null,
  earlyStopping: { best: -1, waited: 0 },
  scaler: null,
  faults: initialProgress().faults,
  finished: false,
});

const tensors = (value: number): CheckpointTensors => ({
  model: new Map([["w", tensor([value, 2])]]),
  ema: { tensors: new Map([["w", tensor([value / 2, 1])]]), updates: 7 },
  optimizer: { step: 9, expAvg: [tensor([value])], expAvgSq: [tensor([value * value])] },
});

const save = (progress: SavedProgress, tensors: CheckpointTensors): void =>
  saveCheckpoint(folder, progress, tensors, { seed: 1 });

let folder: string;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "checkpoint-")), "checkpoint");
});

describe("checkpoints", () => {
  it("come back as they were written", () => {
    save(progress(5), tensors(3));
    const read = loadCheckpoint(folder);
    expect(read.progress).toEqual(progress(5));
    expect(read.model.get("w")?.toList()).toEqual([3, 2]);
    expect(read.ema?.updates).toBe(7);
    expect(read.ema?.tensors.get("w")?.toList()).toEqual([1.5, 1]);
    expect(read.optimizer).toMatchObject({ step: 9 });
    expect(read.optimizer.expAvgSq.map((t) => t.toList())).toEqual([[9]]);
  });

  it("stay whole when writing the next one fails half-way", () => {
    save(progress(5), tensors(3));
    const failing = tensors(4);
    failing.optimizer.expAvg[0].dispose();
    expect(() => save(progress(6), failing)).toThrow();
    expect(readProgress(folder).step).toBe(5);
    expect(loadCheckpoint(folder).model.get("w")?.toList()).toEqual([3, 2]);
    expect(readdirSync(join(folder, ".."))).toEqual(["checkpoint"]);
  });

  it("keep moments of 8 bits beside those in float32", () => {
    const codes = tensor(new Uint8Array([1, 255]));
    const optimizer = {
      step: 2,
      expAvg: [tensor([1]), codes],
      expAvgSq: [tensor([2]), codes],
      expAvgScale: [null, tensor([0.5])],
      expAvgSqScale: [null, tensor([0.25])],
    };
    save(progress(5), { ...tensors(3), optimizer });
    const read = loadCheckpoint(folder).optimizer;
    expect(read.expAvg.map((t) => [t.dtype, t.toList()])).toEqual([
      ["float32", [1]],
      ["uint8", [1, 255]],
    ]);
    expect(read.expAvgScale?.map((t) => t?.toList() ?? null)).toEqual([null, [0.5]]);
    expect(read.expAvgSqScale?.map((t) => t?.toList() ?? null)).toEqual([null, [0.25]]);
  });

  it("do without an average", () => {
    save(progress(1), { ...tensors(1), ema: null });
    expect(loadCheckpoint(folder).ema).toBeNull();
    expect(existsSync(join(folder, "ema.safetensors"))).toBe(false);
  });

  it("have checksums, those of the bytes that were meant", () => {
    save(progress(1), tensors(1));
    const sums = readFileSync(join(folder, "SHA256SUMS"), "utf8");
    const names = ["model", "ema", "optimizer"].map((name) => `${name}.safetensors`);
    for (const name of [...names, "state.json"])
      expect(sums).toContain(
        `${createHash("sha256")
          .update(readFileSync(join(folder, name)))
          .digest("hex")}  ${name}\n`,
      );
  });

  it.each(["model.safetensors", "optimizer.safetensors", "ema.safetensors", "state.json", "SHA256SUMS"])(
    "with one bit of %s turned give way to the one before, with a warning that names the file",
    (name) => {
      save(progress(5), tensors(3));
      save(progress(6), tensors(4));
      const path = join(folder, name);
      const content = readFileSync(path);
      content[content.length - 2] ^= 1;
      writeFileSync(path, content);
      const { progress: found, warning } = soundCheckpoint(folder);
      expect(found.step).toBe(5);
      expect(warning).toContain(path.replace("SHA256SUMS", ""));
      expect(warning).toContain("of step 5");
      expect(loadCheckpoint(folder).model.get("w")?.toList()).toEqual([3, 2]);
      expect(readFileSync(join(`${folder}.damaged`, name)).equals(content)).toBe(true);
      expect(soundCheckpoint(folder).warning).toBeNull();
    },
  );

  it("whose list of checksums was cut off between two lines count as damaged", () => {
    save(progress(5), tensors(3));
    const sums = join(folder, "SHA256SUMS");
    writeFileSync(sums, `${readFileSync(sums, "utf8").split("\n")[0]}\n`);
    expect(() => soundCheckpoint(folder)).toThrow(
      /SHA256SUMS has no checksum of .*; nor the one before it: there is none/,
    );
  });

  it("that are damaged both are named, and stay where they are", () => {
    save(progress(5), tensors(3));
    save(progress(6), tensors(4));
    for (const path of [folder, `${folder}.previous`]) truncateSync(join(path, "model.safetensors"), 100);
    expect(() => soundCheckpoint(folder)).toThrow(
      `${folder} cannot be used: ${folder}/model.safetensors does not have the bytes that were written; nor the one before it: ${folder}.previous/model`,
    );
    expect(readdirSync(join(folder, "..")).sort()).toEqual(["checkpoint", "checkpoint.previous"]);
  });

  it("are refused when a file of tensors is cut off", () => {
    save(progress(5), tensors(3));
    truncateSync(join(folder, "model.safetensors"), 100);
    expect(() => loadCheckpoint(folder)).toThrow(/^The checkpoint .* cannot be read: Expected a safetensors file/);
  });

  it("are refused when cut in half or of another layout", () => {
    save(progress(1), tensors(1));
    writeFileSync(join(folder, "state.json"), '{"layout": 99}');
    expect(() => loadCheckpoint(folder)).toThrow("Expected a checkpoint of layout 3");
    writeFileSync(join(folder, "state.json"), '{"lay');
    expect(() => readProgress(folder)).toThrow(/state\.json but it ends in the middle.*: the file was cut off/);
    for (const text of ["null", "5", "[]"]) {
      writeFileSync(join(folder, "state.json"), text);
      expect(() => readProgress(folder)).toThrow("Expected a checkpoint of layout 3");
    }
  });

  it.each([
    [{ step: "x" }, 'Expected a number for progress.step but received "x"'],
    [{ step: -1 }, "Expected a number of at least 0 for progress.step but received -1"],
    [{ epochSums: null }, "Expected an object for progress.epochSums but received null"],
    [{ scaler: { scale: [] } }, "for progress.scaler.scale but received []"],
    [{ finished: undefined }, "Expected true or false for progress.finished but received nothing"],
  ])("with the value %j are refused by its name", (changes, message) => {
    save(progress(1), tensors(1));
    const path = join(folder, "state.json");
    const state = JSON.parse(readFileSync(path, "utf8"));
    Object.assign(state.progress, changes);
    writeFileSync(path, JSON.stringify(state));
    expect(() => readProgress(folder)).toThrow(`${message}`);
    expect(() => readProgress(folder)).toThrow(` in ${path}`);
  });
});
