import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { fieldLines, unbroken } from "../../support/format.js";
import { startEvent as start } from "../../testing/runs/run-events.js";
import type { StartEvent } from "../events/events.js";
import { headerFields, headerTitle, repeatedImages, startAdvice } from "./header.js";

const header = (event: Partial<StartEvent> = {}): string[] => fieldLines(headerFields({ ...start, ...event }));
const field = (label: string, event: Partial<StartEvent>): string => {
  const [, ...lines] = headerFields({ ...start, ...event }).find(([name]) => name === label) ?? [""];
  return lines.join("\n");
};

describe("the header of a run", () => {
  it("says what is trained on what, and how", () => {
    expect(headerTitle(start)).toBe("rfdetr 0.1.0, new run (libtorch 2.15.0, Node 20.20.2)");
    expect(header()).toEqual([
      "model      nano at 384 px, 30,467,298 parameters",
      "data       birds: 1,500 training and 250 validation images",
      "           2 classes: crow, owl",
      "weights    runs/first/weights/best.safetensors (the best of that run)",
      "schedule   50 epochs of 94 steps, 16 images a step (4 micro-batches of 4); seed 3",
      "           learning rate 0.0002 (lr), of the encoder 0.00015 (lr_encoder)",
      "device     cpu, 1 thread; 2 × EPYC",
      "precision  16-mixed: as requested",
      "run        runs/nano",
    ]);
  });

  it("shows what the precision costs on this hardware below the reason", () => {
    expect(field("precision", { precisionNote: "This is slower than 32-true." })).toBe(
      "16-mixed: as requested\nThis is slower than 32-true.",
    );
  });

  it("shows the precision of single modules, where the precision casts anything", () => {
    const overrides = { class_embed: "fp32", "backbone.*": "bf16" };
    expect(field("precision", { overrides })).toBe(
      "16-mixed: as requested\nmodules of their own precision: class_embed in fp32, backbone.* in bf16",
    );
    expect(field("precision", { overrides, precision: "32-true" })).toBe("32-true: as requested");
  });

  it("names the GPU", () => {
    const gpu = { device: "cuda:0", deviceName: "NVIDIA H100", threads: 16 };
    expect(field("device", gpu)).toBe("cuda:0 (NVIDIA H100), 16 threads; 2 × EPYC");
  });

  it("says how many processes compute", () => {
    expect(field("device", { device: "cpu", deviceName: null, threads: 1, processes: 4 })).toBe(
      "cpu, 1 thread in each of 4 processes; 2 × EPYC",
    );
  });

  it("counts one thing as one", () => {
    const one = { epochs: 1, stepsPerEpoch: 1, totalSteps: 1, batch: 1, accumulate: 1, classes: ["owl"] };
    expect(field("schedule", one)).toMatch(/^1 epoch of 1 step, 1 image a step; seed 3\n/);
    expect(field("data", one)).toMatch(/\n1 class: owl$/);
  });

  it("says why the size of the images changes from step to step", () => {
    expect(field("schedule", { scales: [352, 288, 512] })).toMatch(
      /; seed 3\nlearning rate .*\neach step resizes its images to a side of 288 to 512 px \(multi_scale\)$/,
    );
  });

  it("says why epochs have no AP", () => {
    expect(field("schedule", { evalInterval: 2 })).toMatch(
      /\none epoch in 2 is evaluated, and the last \(eval_interval\): the others have no AP$/,
    );
    expect(field("schedule", { evalInterval: 2, epochs: 1, totalSteps: 94 })).not.toContain("AP");
  });

  it("says when max_steps ends the run before its epochs do", () => {
    expect(field("schedule", { timeBudget: 600 })).toMatch(/^at most 50 epochs of 94 steps.*, ends within 10:00; /);
    expect(field("schedule", { totalSteps: 97 })).toMatch(/^2 epochs of 94 steps.*, ends after 97 steps; seed 3\n/);
  });

  it("lists as many classes as a line holds", () => {
    const classes = Array.from({ length: 80 }, (_, i) => `class ${i}`);
    expect(field("data", { classes })).toMatch(/\n80 classes: class 0, class 1, .{20,45} and 7\d more$/);
    expect(field("data", { classes: ["x".repeat(200), "owl"] })).toMatch(/\n2 classes: x{200} and 1 more$/);
  });

  it("names files of the current folder as one would type them", () => {
    expect(field("run", { dir: resolve("runs/a b") })).toBe(unbroken("runs/a b"));
    expect(field("data", { data: "/elsewhere/birds" })).toContain("/elsewhere/birds: ");
  });
});

describe("the weights of a run in words", () => {
  it.each([
    [null, {}, "random weights: the model has learnt nothing yet and learns from these images alone"],
    [join(homedir(), "rf-detr-nano.pth"), {}, `nano as published, trained on COCO (${homedir()}/rf-detr-nano.pth)`],
    ["/w/rf-detr-base-o365.pth", {}, "base-o365 as published, trained on Objects365 (/w/rf-detr-base-o365.pth)"],
    ["/a/run/weights/last.safetensors", {}, "/a/run/weights/last.safetensors (the last of that run)"],
    ["owls.safetensors", {}, "owls.safetensors"],
    [null, { resumedAt: 94 }, "those of the run, with its optimizer and average"],
  ])("%s %j", (weights, more, text) => {
    expect(field("weights", { weights, ...more })).toBe(text);
  });

  it("come with advice where there are too few images for random ones", () => {
    const random = { ...start, weights: null };
    expect(startAdvice(random, "--weights")).toMatch(/ starts from --weights coco$/);
    expect(startAdvice({ ...random, model: "xlarge" })).toMatch(/ starts from trained weights \(weights\)$/);
    for (const meant of [{ trainImages: 118_000 }, { model: "demo" }, { model: "seg-tiny" }, { resumedAt: 3 }])
      expect(startAdvice({ ...random, ...meant })).toBeNull();
    expect(startAdvice(start)).toBeNull();
  });
});

it("says that small sets are repeated", () => {
  const small = { ...start, trainImages: 30, stepsPerEpoch: 5, batch: 8 };
  expect(repeatedImages(small)).toBe(
    "An epoch has at least 5 steps, so small sets are repeated: 30 images for 40 places",
  );
  expect(repeatedImages({ ...small, trainImages: 40 })).toBeNull();
});
