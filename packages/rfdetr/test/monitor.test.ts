import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRecord } from "@rfdetr/amp/records";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NumericsReader, numericsText, summarizeNumerics } from "../src/report/index.js";
import type { HeaderRecord, MonitorRecord, StepRecord } from "../src/run/files/numerics/numerics-records.js";
import { train } from "../src/run/trainer.js";
import { resolveSettings } from "../src/settings/resolve.js";
import type { PeakMemory } from "../src/train/measure/memory-peak.js";
import { squares } from "./squares.js";

const folder = mkdtempSync(join(tmpdir(), "monitor-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function run(name: string, extra: Record<string, unknown>): Promise<void> {
  const settings = resolveSettings({
    datasetDir: "-",
    model: "tiny",
    outputDir: join(folder, name),
    seed: 3,
    epochs: 1,
    batchSize: 2,
    ...extra,
  });
  for await (const _ of train({ settings, resume: null, stop: new Int32Array(1) }, squares(10)));
}
const read = (name: string, file: string): Buffer => readFileSync(join(folder, name, file));

describe("a run that is watched", () => {
  beforeAll(async () => {
    await run("watched", { monitorInterval: 2, precision: "bf16-mixed" });
    await run("blind", { monitorInterval: 0, precision: "bf16-mixed" });
  });

  it("records every module on the first and every second step", () => {
    const records = read("watched", "numerics.jsonl").toString().trim().split("\n").map(parseRecord);
    const monitors = records.filter((record) => record.kind === "monitor") as unknown as MonitorRecord[];
    expect(monitors.map((record) => record.step)).toEqual([1, 2, 4]);
    for (const { forward, gradient } of monitors) {
      for (const side of [forward, gradient]) {
        const paths = side.map((module) => module.path);
        expect(paths).toContain("backbone.0.encoder.encoder.encoder.layer.0.mlp.fc1");
        expect(paths).toContain("transformer.decoder.layers.1.cross_attn.value_proj");
        expect(paths).toContain("class_embed");
        for (const module of side) expect(module.non_finite, module.path).toBe(0);
      }
    }
    expect(monitors[0].forward.find((module) => module.path === "class_embed")?.dtype).toBe("bfloat16");
  });

  it("tells where the time of each step and the memory of a watched step went", () => {
    const records = read("watched", "numerics.jsonl").toString().trim().split("\n").map(parseRecord);
    const steps = records.filter((record) => record.kind === "step") as unknown as StepRecord[];
    for (const { phases, seconds } of steps) {
      expect(Object.keys(phases)).toEqual(["load", "forward", "loss", "backward", "optimizer"]);
      const sum = Object.values(phases).reduce((a, b) => a + b, 0);
      expect(sum).toBeGreaterThan(0);
      // Each of them is rounded.
      expect(sum).toBeLessThan(seconds + 0.001);
    }
    const header = records[0] as unknown as HeaderRecord;
    const sum = (bytes: object): number => Object.values(bytes).reduce((a, b) => a + b, 0);
    for (const { memory, images } of records.filter(({ kind }) => kind === "monitor") as unknown as MonitorRecord[]) {
      expect(images).toEqual([]);
      const { step, bytes, kinds, dtypes } = memory as PeakMemory;
      expect([sum(kinds), sum(dtypes)]).toEqual([bytes, bytes]);
      const { weights, moments, average } = header.fixed_bytes;
      expect(kinds).toMatchObject({ weights, moments, average });
      expect(dtypes.bfloat16).toBeGreaterThan(kinds.copies);
      // Backward frees what forward kept while the gradients of the weights come.
      expect(kinds.activations).toBeGreaterThan(0);
      expect(kinds.activations).toBeLessThanOrEqual(steps[step - 1].memory.kept_bytes);
    }
    // The watch lets the peak of the process begin anew; the records do not.
    const peaks = steps.map(({ memory }) => memory.peak_bytes);
    expect(peaks).toEqual([...peaks].sort((a, b) => a - b));
  });

  it("reads as a page", () => {
    const reader = new NumericsReader(join(folder, "watched"));
    reader.read();
    const summary = summarizeNumerics(reader.record());
    expect(summary).toMatchObject({
      steps: 5,
      skipped: 0,
      faults: [],
      header: { precision: "bf16-mixed", monitor_interval: 2 },
    });
    expect(summary.worst).toHaveLength(10);
    expect(numericsText(summary)).toMatch(/Largest values on watched steps/);
  });

  it("watches the first and the tenth step of a short run, where the settings say no interval", async () => {
    await run("short", { precision: "bf16-mixed", epochs: 2 });
    const records = read("short", "numerics.jsonl").toString().trim().split("\n").map(parseRecord);
    const monitors = records.filter((record) => record.kind === "monitor") as unknown as MonitorRecord[];
    expect(monitors.map((record) => record.step)).toEqual([1, 10]);
    expect(records[0]).toMatchObject({ kind: "header", monitor_interval: 10 });
    expect(JSON.parse(read("short", "config.json").toString()).settings.monitor_interval).toBe("auto");
  });

  it("trains to the same bits as one that is not", () => {
    expect(read("watched", "checkpoint/model.safetensors").equals(read("blind", "checkpoint/model.safetensors"))).toBe(
      true,
    );
  });
});
