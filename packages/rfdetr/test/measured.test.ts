import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRecord } from "@rfdetr/amp";
import { afterAll, describe, expect, it } from "vitest";
import type { TrainEvent } from "../src/run/events/events.js";
import { resumeConfig } from "../src/run/session/resume.js";
import { train } from "../src/run/trainer.js";
import { resolveSettings } from "../src/settings/resolve.js";
import type { TrainSettings } from "../src/settings/settings.js";
import { squares } from "./squares.js";

const folder = mkdtempSync(join(tmpdir(), "measured-"));
afterAll(() => rmSync(folder, { recursive: true }));

const settings = (name: string, extra: Record<string, unknown>): TrainSettings =>
  resolveSettings({
    datasetDir: "-",
    model: "tiny",
    outputDir: join(folder, name),
    seed: 3,
    epochs: 1,
    batchSize: 2,
    monitorInterval: 0,
    ...extra,
  });
async function run(
  config: TrainSettings,
  resume: string | null = null,
  stopAfter = Number.POSITIVE_INFINITY,
): Promise<TrainEvent[]> {
  const stop = new Int32Array(1);
  const events: TrainEvent[] = [];
  for await (const event of train({ settings: config, resume, stop }, squares(10))) {
    events.push(event);
    if (event.type === "step" && event.step === stopAfter) stop[0] = 1;
  }
  return events;
}
const read = (name: string, file: string): Buffer => readFileSync(join(folder, name, file));

describe("amp: calibrate", () => {
  it("says that it measures, takes what measured best, records the figures, and changes nothing else", async () => {
    const events = await run(settings("measured", { amp: "calibrate" }));
    expect(events[0]).toEqual({ type: "preparing", what: "measuring every precision on the first batch" });
    const start = events[1] as Extract<TrainEvent, { type: "start" }>;
    // Beside other programs its rounds may disagree.
    expect(start.reason).toMatch(/^measured here(, but rounds disagree)?: /);
    const header = parseRecord(read("measured", "numerics.jsonl").toString().split("\n")[0]);
    expect(header.calibration).toMatchObject([{ precision: "32-true", speedup: 1 }, { precision: "bf16-mixed" }]);
    await run(settings("named", { precision: start.precision }));
    expect(read("measured", "checkpoint/model.safetensors").equals(read("named", "checkpoint/model.safetensors"))).toBe(
      true,
    );
  });

  it("measures the step that the run takes: its policy, its rows, its overrides, its loss", async () => {
    const recipe = {
      clsLossCoef: 3,
      gradAccumSteps: 1,
      multiScale: "off",
      maxSteps: 1,
      precisionPolicy: "pytorch-cuda",
      precisionOperators: { gelu: "fp32" },
      precisionChanges: [{ step: 1, pattern: "bbox_embed", rule: "fp32" }],
    };
    await run(settings("like-the-run", { ...recipe, amp: "calibrate" }));
    const lines = (name: string) => read(name, "numerics.jsonl").toString().trim().split("\n").map(parseRecord);
    const measured = lines("like-the-run")[0].calibration as { precision: string; loss: number }[];
    for (const precision of ["32-true", "bf16-mixed"]) {
      await run(settings(precision, { ...recipe, precision }));
      const step = lines(precision).find(({ kind }) => kind === "step");
      expect(measured.find((row) => row.precision === precision)?.loss).toBe(step?.loss);
    }
  });

  it("is not done again when the run is continued", async () => {
    await run(settings("stopped", { amp: "calibrate" }), null, 2);
    const path = join(folder, "stopped");
    const events = await run(resumeConfig(path), path);
    const { precision } = JSON.parse(read("stopped", "config.json").toString());
    expect(events[0]).toMatchObject({ type: "start", precision, resumedAt: 2 });
  });
});

describe("batch_size: auto", () => {
  it("trains with the number it found, says so, and writes it into config.json", async () => {
    const events = await run(settings("auto", { batchSize: "auto", autoBatchTargetEffective: 3 }));
    expect(events[0]).toEqual({ type: "preparing", what: "measuring the batch size that fits" });
    expect(
      events.some((event) => event.type === "note" && /^batch size 3 with no accumulation/.test(event.message)),
    ).toBe(true);
    expect(JSON.parse(read("auto", "config.json").toString()).settings).toMatchObject({
      batch_size: 3,
      grad_accum_steps: 1,
    });
  });
});

describe("gradient_checkpointing", () => {
  it("trains to the weights that a run without it trains to, for less memory", async () => {
    const extra = { precision: "32-true" };
    await run(settings("kept", extra));
    await run(settings("spared", { ...extra, gradientCheckpointing: true }));
    const steps = (name: string) =>
      read(name, "numerics.jsonl")
        .toString()
        .trim()
        .split("\n")
        .map(parseRecord)
        .filter(({ kind }) => kind === "step");
    const [kept, spared] = [steps("kept"), steps("spared")];
    kept.forEach((step, i) => {
      // Sums of shared gradients in another order, over five steps of AdamW.
      expect(Math.abs((spared[i].loss as number) - (step.loss as number)) / (step.loss as number)).toBeLessThan(1e-4);
      const bytes = (record: typeof step) => (record.memory as { kept_bytes: number }).kept_bytes;
      expect(bytes(spared[i])).toBeLessThan(0.7 * bytes(step));
    });
  });
});
