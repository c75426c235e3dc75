import { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import type { EpochEvent, StartEvent, StepEvent } from "../run/files/events.js";
import { Console } from "./console.js";
import { TrainConsole } from "./train-console.js";

const start: StartEvent = {
  type: "start",
  dir: "runs/nano",
  model: "nano",
  weights: "runs/first/weights/best.safetensors",
  resolution: 384,
  parameters: 30_467_298,
  classes: ["crow", "owl"],
  trainImages: 1500,
  validImages: 250,
  stepsPerEpoch: 94,
  totalSteps: 4700,
  epochs: 50,
  batch: 16,
  precision: "16-mixed",
  reason: "as requested",
  device: "cpu",
  threads: 1,
  engine: "2.15.0",
  hardware: "2 × EPYC",
  seed: 3,
  resumedAt: null,
};
const step: StepEvent = {
  type: "step",
  epoch: 3,
  step: 120,
  totalSteps: 4700,
  loss: 12.3456,
  lr: 1e-4,
  gradNorm: 1,
  imagesPerSecond: 12.3,
  rssBytes: 2.1 * 2 ** 30,
  size: 448,
  precision: "16-mixed",
  lossScale: 65536,
  skipped: false,
  skippedSteps: 2,
  secondsLeft: 3723,
};
const epoch: EpochEvent = {
  type: "epoch",
  epoch: 1,
  epochs: 50,
  step: 94,
  loss: 10.5,
  terms: { loss_ce: 1, loss_bbox: 2, loss_giou: 3 },
  lr: 1e-4,
  ap: 0.5,
  ap50: 0.7,
  ap75: null,
  perClass: [],
  best: true,
  seconds: 60,
  evaluationSeconds: 5,
  imagesPerSecond: 12.3,
  amp: { precision: "16-mixed", lossScale: 65536, skipped: 2 },
};

/** A console on a terminal of this width, or on a pipe, and the lines of its stderr. */
function view(columns: number | null) {
  let text = "";
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  const err = Object.assign(stream, columns === null ? {} : { isTTY: true, columns });
  const shown = new TrainConsole(new Console({}, { err }), () => new Date(2026, 0, 1, 12, 0));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours and the erased live line
  return { shown, lines: () => text.replace(/\x1b\[\d*[mK]/g, "").split(/[\r\n]+/) };
}

describe("the header of a run", () => {
  const header = (event: Partial<StartEvent>) => {
    const { shown, lines } = view(null);
    shown.show({ ...start, ...event });
    return lines().join("\n");
  };

  it("says what is trained on what, and how", () => {
    expect(header({})).toBe(
      [
        "nano at 384 px, 30,467,298 parameters, 2 classes",
        "1,500 training and 250 validation images",
        "50 epochs of 94 steps, 16 images per step",
        "weights runs/first/weights/best.safetensors",
        "precision 16-mixed: as requested",
        "libtorch 2.15.0 on cpu, 1 thread, seed 3",
        "2 × EPYC",
        "run folder runs/nano",
        "",
      ].join("\n"),
    );
  });

  it("warns of random weights where there are too few images for them", () => {
    expect(header({ weights: null })).toContain("weights random\n");
    expect(header({ weights: null })).toMatch(/warning: The weights are random.* starts from --weights nano\n/);
    expect(header({ weights: null, model: "xlarge" })).toContain("starts from trained weights (--weights)\n");
    expect(header({ weights: null, resumedAt: 3 })).not.toContain("weights random");
    for (const meant of [{ trainImages: 118_000 }, { model: "demo" }, { model: "tiny" }, { resumedAt: 3 }])
      expect(header({ weights: null, ...meant })).not.toContain("warning");
  });

  it("counts one thing as one", () => {
    expect(header({ epochs: 1, stepsPerEpoch: 1, totalSteps: 1, batch: 1, trainImages: 1, classes: ["owl"] })).toMatch(
      /1 class\n[\s\S]*1 epoch of 1 step, 1 image per step\n/,
    );
  });

  it("says when max_steps ends the run before its epochs do", () => {
    expect(header({ totalSteps: 3 })).toContain("50 epochs of 94 steps, 16 images per step, ends after 3 steps\n");
  });

  it("says that small sets are repeated", () => {
    expect(header({ trainImages: 30, stepsPerEpoch: 5, batch: 8 })).toContain(
      "note: An epoch has at least 5 steps, so small sets are repeated: 30 images for 40 places\n",
    );
    expect(header({ trainImages: 40, stepsPerEpoch: 5, batch: 8 })).not.toContain("note");
  });

  it("stands above notes and warnings, and those above the table", () => {
    const { shown, lines } = view(null);
    for (const event of [
      start,
      { type: "note", message: "slow here" } as const,
      { type: "warning", message: "few images" } as const,
      epoch,
    ])
      shown.show(event);
    const [note, warning, titles] = ["note: slow here", "warning: few images", "  epoch"].map((begin) =>
      lines().findIndex((line) => line.startsWith(begin)),
    );
    expect(note).toBeGreaterThan(0);
    expect([warning, titles]).toEqual([note + 1, note + 2]);
  });
});

describe("the live line", () => {
  const { shown } = view(null);

  it.each([
    [60, "1:02:03 left, 13:02 · epoch 3 · step 120/4700 · loss 12.346"],
    [80, "1:02:03 left, 13:02 · epoch 3 · step 120/4700 · loss 12.346 · 12 img/s"],
    [
      120,
      "1:02:03 left, 13:02 · epoch 3 · step 120/4700 · loss 12.346 · 12 img/s · 16-mixed scale 65536 skipped 2 · 2.10 GiB",
    ],
  ])("begins with the time left, and holds whole figures at %i columns", (width, line) => {
    expect(shown.stepLine(step, width)).toBe(line);
  });

  it("says nothing that is not known yet", () => {
    const first = { ...step, step: 1, lr: 0, imagesPerSecond: 0, secondsLeft: Number.POSITIVE_INFINITY };
    expect(shown.stepLine(first)).toBe(
      "epoch 3 · step 1/4700 · loss 12.346 · 16-mixed scale 65536 skipped 2 · 2.10 GiB · 448 px",
    );
  });

  it("is there before the first step has ended", () => {
    const { shown, lines } = view(80);
    shown.show(start);
    expect(lines().at(-1)).toBe("waiting for the first step");
  });
});

describe("the table of epochs", () => {
  it.each([
    [60, "epoch loss AP AP50 skipped time"],
    [80, "epoch step loss AP AP50 AP75 img/s skipped time"],
    [120, "epoch step loss class box giou AP AP50 AP75 img/s skipped time"],
    [null, "epoch step loss class box giou AP AP50 AP75 img/s skipped time"],
  ])("has the columns that fit into %s", (width, titles) => {
    const { shown, lines } = view(width);
    shown.show(epoch);
    const [head, row] = lines().filter((line) => line.trim() !== "");
    expect(head.trim().split(/ +/).join(" ")).toBe(titles);
    expect(row).toMatch(/^ +1\/50 .* 1:05 {2}best$/);
    if (width !== null) expect(row.length).toBeLessThan(width);
  });

  it("counts the epochs that the run has steps for", () => {
    const { shown, lines } = view(null);
    shown.show({ ...start, totalSteps: 100 });
    shown.show(epoch);
    expect(lines().join("\n")).toContain("\n    1/2 ");
  });
});
