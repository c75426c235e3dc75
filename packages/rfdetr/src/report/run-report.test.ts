import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { attribute } from "../testing/pages/html-page.js";
import { exampleDetails } from "../testing/runs/example-details.js";
import { reportRun } from "../testing/runs/report-run.js";
import { pageOf, reportOf, root } from "../testing/runs/written-report.js";

const page = reportOf();
const text = page.text();

describe("the report of a run", () => {
  it("says the result in one sentence, and what was trained on what", () => {
    expect(text).toContain(
      "tiny trained on 30 images for 4 epochs in 16-mixed reached AP 0.400 and AP50 0.600 at epoch 3.",
    );
    expect(text).toContain("random weights: nothing was learned before");
    expect(text).toContain("16-mixed: measured here");
    expect(text).toContain("nothing there 3.1, 1 detection missed object 12.5, 2 objects");
    expect(text).toMatch(/What AP50, which is 0\.\d+, would gain if the errors of one kind alone were corrected\./);
    expect(text).toMatch(/Missed objects are counted of \d+ objects? in \d+ images?; all other errors are detections/);
    expect(text).toContain("Precision of evaluations16-mixed, as in training; scores and boxes are computed");
    expect(text).toContain("30 images with 60 objects to train on, 3 images with 6 objects to evaluate on");
    expect(text).toContain("*.norm in fp32");
  });

  it("lists no rules of modules where the precision casts nothing", () => {
    const folder = reportRun(join(root, "float32"));
    const file = join(folder, "numerics.jsonl");
    writeFileSync(file, readFileSync(file, "utf8").replace('"precision":"16-mixed"', '"precision":"32-true"'));
    expect(text).toContain("Modules of their own precision");
    expect(pageOf(folder).text()).not.toContain("Modules of their own precision");
  });

  it("lists rules of modules that were set while the run trained", () => {
    const folder = reportRun(join(root, "changed"));
    const file = join(folder, "config.json");
    const config = JSON.parse(readFileSync(file, "utf8"));
    config.settings.precision_changes = [
      { step: 2, pattern: "class_embed", rule: "fp32" },
      { step: 3, pattern: "bbox_embed", rule: "fp32" },
      { step: 4, undo: true },
      { step: 1e9, pattern: "backbone", rule: "fp32" },
    ];
    writeFileSync(file, JSON.stringify(config));
    const changed = pageOf(folder).text();
    expect(changed).toContain("*.norm in fp32, class_embed in fp32, set while it trained");
    expect(changed).not.toMatch(/bbox_embed in fp32|backbone in fp32/);
  });

  it("says of bf16x3 what it comes to on a machine without units for it", () => {
    const folder = reportRun(join(root, "split"));
    const file = join(folder, "numerics.jsonl");
    const [first, ...rest] = readFileSync(file, "utf8").split("\n");
    const said = (splits?: boolean): string => {
      const header = { ...JSON.parse(first), overrides: { a: "bf16x3" }, splits };
      writeFileSync(file, [JSON.stringify(header), ...rest].join("\n"));
      return pageOf(folder).text();
    };
    const forward = " (forward in float32, as this machine has no units for it)";
    expect(said(false)).toContain(`a in bf16x3${forward}`);
    for (const splits of [true, undefined]) {
      expect(said(splits)).toContain("a in bf16x3");
      expect(said(splits)).not.toContain(forward);
    }
  });

  it("says why the loss has peaks where the size of the images changes", () => {
    const note = "a step of small ones has a larger loss, so single peaks are no fault.";
    expect(text).not.toContain(note);
    for (const [multi_scale, isSaid] of [
      ["per-batch", true],
      [true, true],
      ["off", false],
    ] as const)
      expect(reportOf({ settings: { multi_scale } }).text().includes(note)).toBe(isSaid);
  });

  it("calls a line of the steps a mean only where a point has several of them", () => {
    const loss = (steps: number): string | undefined =>
      reportOf({ steps })
        .texts("figure")
        .find((figure) => figure.startsWith("Training loss"));
    expect(loss(40)).not.toContain("mean");
    expect(loss(40)).not.toContain("least");
    expect(loss(4000)).toMatch(/mean of \d+ steps/);
  });

  it("says how the loss and its terms belong together", () => {
    expect(text).toContain(
      "Of the last decoder layer, without their weights. The training loss adds up, with their weights, those of all prediction layers",
    );
  });

  it("says which callback ended the run, and why", () => {
    const summary = { stop_reason: "callback", stop_message: "plateau: AP stays" };
    expect(reportOf({ summary }).text()).toContain("stopped by a callback (plateau: AP stays)");
  });

  it("does not call epochs the best that found nothing", () => {
    const folder = reportRun(join(root, "nothing found"), { summary: { AP: 0, AP50: 0, best_epoch: 2 } });
    writeFileSync(join(folder, "metrics.csv"), "epoch,val/AP,val/AP50\n1,0,0\n2,0,0\n");
    expect(pageOf(folder).text()).toContain("in 16-mixed has AP 0: no detection was right so far.");
  });

  it("has the figures of each class with the threshold to use, and what errors cost", () => {
    expect(text).toContain("One threshold for all classes: 0.42.");
    expect(text).toContain("No objects to evaluate on: plane.");
    expect(text).toContain(
      "Missed small objects cost most: 12.5 hundredths of AP50. At all sizes together, such errors cost 12.5.",
    );
    expect(page.texts("caption")).toEqual(
      expect.arrayContaining([
        "Figures of each class, the best first",
        "Figures by size of object",
        "Figures by objects in the image",
      ]),
    );
  });

  it("recommends no threshold where none helps", () => {
    const folder = reportRun(join(root, "no threshold"));
    const best_threshold = { threshold: 0, precision: 0, recall: 0, f1: 0 };
    writeFileSync(join(folder, "evaluation.json"), JSON.stringify({ ...exampleDetails(), best_threshold }));
    const words = pageOf(folder).text();
    expect(words).toContain("No threshold helps yet");
    expect(words).not.toMatch(/One threshold for all classes|highest F1/);
  });

  it("leaves precision open where no class has detections, and takes the mean of those that have", () => {
    const folder = reportRun(join(root, "precision"));
    const { curves, ...details } = exampleDetails();
    const [first] = curves.classes;
    const ofClass = (label: number, value: number, reached: number): object => ({
      ...first,
      label,
      precision: first.precision.map((_, i) => (i < reached ? value : 0)),
      reached,
    });
    const classes = [ofClass(0, 0.9, 98), ofClass(1, 0.5, 51)];
    writeFileSync(join(folder, "evaluation.json"), JSON.stringify({ ...details, curves: { ...curves, classes } }));
    const rows = pageOf(folder).texts("tr");
    expect(rows).toEqual(expect.arrayContaining(["0.470.5300.7000.530", "0.930.0700.9000.070", "1.000.000–0.000"]));
  });

  it("holds its pictures", () => {
    expect(page.all("img").map((image) => [attribute(image, "alt"), attribute(image, "src")?.slice(0, 22)])).toEqual([
      ["Where the boxes are.", "data:image/svg+xml;bas"],
    ]);
  });

  it("says which epoch the pictures of an evaluation are of, and whether that is the best", () => {
    const folder = reportRun(join(root, "epochs"));
    const index = (epoch: number) => [
      { file: "validation-1.jpg", kind: "validation", title: "Truth", alt: "x", width: 8, height: 8, epoch },
      { file: "labels.svg", kind: "labels", title: "Labels", alt: "x", width: 8, height: 8 },
    ];
    writeFileSync(join(folder, "pictures", "validation-1.jpg"), "x");
    const wordsOf = (epoch: number): string => {
      writeFileSync(join(folder, "pictures", "pictures.json"), JSON.stringify(index(epoch)));
      return pageOf(folder).text();
    };
    expect(wordsOf(3)).toContain("With the best weights, those of epoch 3.");
    expect(wordsOf(2)).toContain("With the weights of epoch 2.");
    expect(wordsOf(2).match(/With the /g)).toHaveLength(1);
  });

  it("names the pictures that it has no room for", () => {
    const folder = reportRun(join(root, "large"));
    writeFileSync(join(folder, "pictures", "labels.svg"), " ".repeat(7 << 20));
    const index = [
      { file: "validation-1.jpg", kind: "validation", title: "Truth", alt: "x", width: 8, height: 8 },
      { file: "labels.svg", kind: "labels", title: "Labels", alt: "x", width: 8, height: 8 },
    ];
    writeFileSync(join(folder, "pictures", "validation-1.jpg"), "x");
    writeFileSync(join(folder, "pictures", "pictures.json"), JSON.stringify(index));
    const report = pageOf(folder);
    expect(report.texts("h3")).toContain("Truth beside prediction");
    expect(report.text()).toContain("take 6.00 MiB of a report at most: labels.svg in the folder pictures.");
  });

  it("gives the command that repeats the run", () => {
    expect(text).toContain(
      "npx rfdetr train --data /data/birds --model tiny --epochs 4 --lr 0.001 --precision 16-mixed --seed 11",
    );
  });

  it("promises the same bits of a repeated run only without a time budget", () => {
    const folder = join(root, "timed");
    mkdirSync(folder);
    const of = (settings: object): string => {
      writeFileSync(join(folder, "config.json"), JSON.stringify({ settings: { model: "tiny", ...settings } }));
      return pageOf(folder).text();
    };
    expect(of({ time_budget: null })).toContain("the same weights to the bit");
    expect(of({ time_budget: 60 })).not.toContain("to the bit");
    expect(of({ time_budget: 60 })).toContain("A run with a time budget is planned by the clock");
  });

  it("leaves out what the run does not have, with its heading", () => {
    const folder = join(root, "bare");
    mkdirSync(folder);
    writeFileSync(join(folder, "config.json"), JSON.stringify({ settings: { model: "tiny" } }));
    expect(pageOf(folder).texts("h1", "h2", "h3")).toEqual(["bare", "The run", "Repeat the run"]);
  });

  it("names what could not be read", () => {
    const folder = reportRun(join(root, "damaged"));
    writeFileSync(join(folder, "evaluation.json"), "{");
    expect(pageOf(folder).text()).toMatch(/What could not be read evaluation\.json cannot be used/);
  });

  it("explains the best weights where their evaluation was kept, and says which weights it explains", () => {
    const folder = reportRun(join(root, "best and last"));
    const last = pageOf(folder).text();
    expect(last).toContain("Figures of the last evaluation, epoch 7.");
    expect(last).toContain("Figures by size are of the last evaluation, epoch 7.");
    const details = exampleDetails();
    const best = { ...details, AP_medium: 0.875, origin: { ...details.origin, epoch: 2 } };
    writeFileSync(join(folder, "evaluation-best.json"), JSON.stringify(best));
    const words = pageOf(folder).text();
    expect(words.split("Figures of the best weights, epoch 2.")).toHaveLength(3);
    expect(words).toContain("medium objects 0.875");
    expect(words).toContain("Figures by size are of the best weights, epoch 2.");
    expect(words).not.toContain("last evaluation");
  });

  it("has a dash for the figures that an evaluation lacks", () => {
    const folder = reportRun(join(root, "few figures"));
    const bird = { class_name: "bird", AP: 0.5 };
    writeFileSync(join(folder, "evaluation.json"), JSON.stringify({ AP: 0.5, per_class: [bird] }));
    expect(pageOf(folder).text()).toMatch(/bird\s*–\s*0\.500\s*–\s*–\s*–/);
  });

  it.each([
    [{ summary: null }, "The run was broken off after step 40"],
    [
      { summary: { stop_reason: "failed", error: "The disk is full" } },
      "The run failed after step 40. The disk is full",
    ],
    [{ summary: { stop_reason: "interrupted" } }, "The run was stopped after step 40"],
  ] as const)("says how a run ended that did not finish: %j", (example, words) => {
    expect(reportOf(example).text()).toContain(words);
  });

  it("shows names as they are, whatever they hold", () => {
    const evil = '</style><script>alert("1")</script><img src=x onerror=alert(2)>&lt;';
    const report = reportOf({
      classNames: [evil, "\u202eplane"],
      module: `decoder.${evil}`,
      settings: { model: evil },
    });
    expect(report.all("script")).toEqual([]);
    expect(report.all("img")).toHaveLength(1);
    expect(report.texts("bdi")).toEqual(expect.arrayContaining([evil, "\u202eplane"]));
    expect(report.texts("bdi").some((name) => name.includes("layers") || name.includes(evil))).toBe(true);
  });
});
