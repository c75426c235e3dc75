import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ModuleRecord, recordLine } from "@rfdetr/amp/records";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { attribute, type HtmlPage, htmlPage } from "../testing/pages/html-page.js";
import { exampleDetails } from "../testing/runs/example-details.js";
import { writeExampleRun } from "../testing/runs/example-run.js";
import { maskedDetails } from "../testing/runs/masked-details.js";
import {
  headerRecord,
  moduleRecord,
  monitorRecord,
  overflowReport,
  stepRecord,
} from "../testing/runs/numerics-records.js";
import { type ReportRun, reportRun } from "../testing/runs/report-run.js";
import { comparisonReport } from "./compare/comparison.js";
import { readRun } from "./records/run-record.js";
import { reportFigures } from "./report-figures.js";
import { runReport } from "./run-report.js";

const root = mkdtempSync(join(tmpdir(), "report-"));
afterAll(() => rmSync(root, { recursive: true }));

let count = 0;
const reportOf = (example: ReportRun = {}): HtmlPage =>
  htmlPage(runReport(readRun(reportRun(join(root, `run-${++count}`), example))));

let page: HtmlPage;
let text: string;
beforeAll(() => {
  page = reportOf();
  text = page.text();
});

describe("the report of a run, as a file", () => {
  it("loads nothing and runs nothing", () => {
    const addresses = page
      .all()
      .flatMap((element) => ["src", "href", "action"].flatMap((name) => attribute(element, name) ?? []));
    expect(addresses.filter((address) => !/^(#|data:image\/)/.test(address))).toEqual([]);
    expect(page.all("script", "link", "iframe", "object", "embed", "base", "form")).toEqual([]);
    const attributes = page.all().flatMap(({ attrs }) => attrs.map(({ name }) => name));
    expect(attributes.filter((name) => name === "style" || name.startsWith("on") || name === "srcset")).toEqual([]);
    const [style] = page.all("style");
    expect(style.childNodes.map((node) => ("value" in node ? node.value : "")).join("")).not.toMatch(/url\(|@import/);
  });

  it("forbids everything but its own style and its own pictures", () => {
    const [policy] = page.all("meta").filter((meta) => attribute(meta, "http-equiv") === "Content-Security-Policy");
    const [style] = page.all("style");
    const hash = createHash("sha256");
    for (const node of style.childNodes) if ("value" in node) hash.update(node.value);
    expect(attribute(policy, "content")).toBe(
      `default-src 'none'; img-src data:; style-src 'sha256-${hash.digest("base64")}'; base-uri 'none'; form-action 'none'`,
    );
  });

  it("has one heading of the page, and none that skips a level or is empty", () => {
    const headings = page.all("h1", "h2", "h3", "h4");
    const levels = headings.map(({ tagName }) => Number(tagName[1]));
    expect(levels.filter((level) => level === 1)).toHaveLength(1);
    levels.slice(1).forEach((level, i) => {
      expect(level - levels[i]).toBeLessThanOrEqual(1);
    });
    expect(headings.map((heading) => page.text(heading))).not.toContain("");
  });

  it("names each chapter in its contents, by an anchor that is there once", () => {
    const ids = page.all().flatMap((element) => attribute(element, "id") ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    const links = page.all("a").map((link) => attribute(link, "href")?.slice(1));
    expect(links.filter((id) => !ids.includes(id ?? ""))).toEqual([]);
    expect(links.length).toBe(page.all("section").length + 1);
  });

  it("can be heard: words for every picture and chart, headers for every table, numbers for every figure", () => {
    for (const chart of page.all("svg").filter((svg) => attribute(svg, "role") === "img"))
      expect(attribute(chart, "aria-label")).toMatch(/\w{3}.*\.$/);
    for (const picture of page.all("img")) expect(attribute(picture, "alt")).not.toBe("");
    for (const table of page.all("table")) {
      const inside = page.all("caption", "th").filter((element) => isIn(element, table));
      expect(inside.some(({ tagName }) => tagName === "caption")).toBe(true);
      expect(inside.filter(({ tagName }) => tagName === "th").every((th) => attribute(th, "scope") !== null)).toBe(
        true,
      );
    }
    const figures = page
      .all("figure")
      .filter((figure) => page.all("svg").some((svg) => attribute(svg, "role") === "img" && isIn(svg, figure)));
    expect(figures.length).toBeGreaterThan(10);
    // Those inside of a module stand below its table.
    const inTree = new Set(page.all("ul").filter((list) => attribute(list, "class") === "tree"));
    for (const figure of figures.filter((each) => ![...inTree].some((tree) => isIn(each, tree))))
      expect(
        page.all("table").some((table) => isIn(table, figure)),
        page.text(figure).slice(0, 40),
      ).toBe(true);
  });

  it("labels both axes of every chart", () => {
    for (const label of ["optimizer step", "epoch", "loss scale", "absolute value", "bytes", "seconds", "MiB"])
      expect(page.texts("text")).toContain(label);
  });
});

const isIn = (element: { parentNode: unknown }, ancestor: unknown): boolean => {
  for (let at: { parentNode?: unknown } | null = element; at; at = at.parentNode as typeof at)
    if (at === ancestor) return true;
  return false;
};

describe("the report of a run", () => {
  it("says the result in one sentence, and what was trained on what", () => {
    expect(text).toContain(
      "tiny trained on 30 images for 4 epochs in 16-mixed reached AP 0.400 and AP50 0.600 at epoch 3.",
    );
    expect(text).toContain("random weights: nothing was learned before");
    expect(text).toContain("16-mixed: measured here");
    expect(text).toContain("30 images with 60 objects to train on, 3 images with 6 objects to evaluate on");
    expect(text).toContain("*.norm in fp32");
  });

  it("does not call epochs the best that found nothing", () => {
    const folder = reportRun(join(root, "nothing found"), { summary: { AP: 0, AP50: 0, best_epoch: 2 } });
    writeFileSync(join(folder, "metrics.csv"), "epoch,val/AP,val/AP50\n1,0,0\n2,0,0\n");
    expect(htmlPage(runReport(readRun(folder))).text()).toContain(
      "in 16-mixed has AP 0: no detection was right so far.",
    );
  });

  it("gives the figures of masks first where the model has them", () => {
    const summary = { AP: 0.3, AP50: 0.6, mask_AP: 0.25, mask_AP50: 0.5, best_epoch: 2 };
    const folder = reportRun(join(root, "masks"), { summary });
    const header = "epoch,val/AP,val/AP50,val/mask_AP,val/mask_AP50,train/loss";
    writeFileSync(join(folder, "metrics.csv"), `${header}\n1,0.4,0.7,0.1,0.2,90\n2,0.3,0.6,0.25,0.5,80\n`);
    writeFileSync(join(folder, "evaluation.json"), JSON.stringify(maskedDetails()));
    const run = readRun(folder);
    const ofMasks = htmlPage(runReport(run));
    const words = ofMasks.text();
    expect(words).toContain("reached mask AP 0.250 and mask AP50 0.500, with box AP 0.300, at epoch 2.");
    expect(words).toContain("Average precision of masks");
    expect(words).toContain("Average precision of boxes");
    expect(words).toContain("at epoch 2. Mask AP of small objects 0.125 and medium objects 0.250.");
    expect(ofMasks.texts("th")).toEqual(
      expect.arrayContaining(["mask AP", "mask AP50", "mask AP75", "mask AR", "box AP", "precision of masks"]),
    );
    expect(words).toContain("Inexact masks of objects cost most: 25.0 AP50 of masks.");
    expect(words).toContain(" Missed small objects cost most: 12.5 AP50 of boxes.");
    expect(words).toContain("AP50 of masks lost to each kind of error");
    expect(words).toContain("AP50 of boxes lost to each kind of error");
    expect(words).toContain("The class is right, the mask only overlaps the object.");
    expect(words).toMatch(
      /One threshold for all classes: 0\.31\..* at IoU 0\.5 of masks\. By the boxes it would be 0\.42, with F1 0\.638\. The table/,
    );
    const rows = ofMasks.texts("tr");
    expect(rows).toContain("bird40.2000.3130.1880.2500.4000.310.5000.2500.333");
    expect(rows).toContain("small, up to 32² pixels30.1250.2500.1250.250");
    expect(rows).toContain("01210.2500.5000.500");
    expect(reportFigures({ out: "report.html", bytes: 1, runs: [run] }).runs).toMatchObject([
      { AP: 0.3, AP50: 0.6, mask_AP: 0.25, mask_AP50: 0.5, best_epoch: 2 },
    ]);
    // A run with masks and one without are of different kinds.
    const without = readRun(reportRun(join(root, "no masks")));
    const mixed = htmlPage(comparisonReport([run, without]));
    const both = mixed.text();
    expect(both).toContain("The runs are of different kinds, masks and boxes: their AP does not tell which is best.");
    expect(both).not.toContain("is best:");
    expect(mixed.texts("tr")).toContain("box AP at the best epoch0.3000.400 ★");
    expect(mixed.texts("tr").filter((row) => row.startsWith("loss at the end"))).toEqual([
      expect.stringMatching(/^loss at the end80[^★]+$/),
    ]);
    expect(both).toContain("best mask AP");
    expect(both).toContain("Box AP by epoch");
    expect(both).toContain("Box AP50 by epoch");
    expect(both).toContain("Box AP of each class at the last evaluation");
    const detectors = htmlPage(comparisonReport([without, without])).text();
    expect(detectors).toContain("AP of each class at the last evaluation");
    expect(detectors).not.toMatch(/box AP/i);
    expect(both).not.toContain("Mask AP of each class");
    const segmenters = htmlPage(comparisonReport([run, run]));
    expect(segmenters.text()).toContain("The best runs are equal: mask AP 0.250.");
    expect(segmenters.text()).toContain("Mask AP of each class at the last evaluation");
    expect(segmenters.text()).toContain("Box AP of each class at the last evaluation");
    expect(segmenters.texts("tr")).toEqual(expect.arrayContaining(["bird0.2000.200", "bird0.4000.400"]));
    expect(text).not.toMatch(/mask|box AP|of boxes/);
  });

  it("has the figures of each class with the threshold to use, and what errors cost", () => {
    expect(text).toContain("One threshold for all classes: 0.42.");
    expect(text).toContain("No objects to evaluate on: plane.");
    expect(text).toContain("Missed small objects cost most: 12.5 AP50. At all sizes together, such errors cost 12.5.");
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
    const words = htmlPage(runReport(readRun(folder))).text();
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
    const rows = htmlPage(runReport(readRun(folder))).texts("tr");
    expect(rows).toEqual(expect.arrayContaining(["0.470.5300.7000.530", "0.930.0700.9000.070", "1.000.000–0.000"]));
  });

  it("holds its pictures", () => {
    expect(page.all("img").map((image) => [attribute(image, "alt"), attribute(image, "src")?.slice(0, 22)])).toEqual([
      ["Where the boxes are.", "data:image/svg+xml;bas"],
    ]);
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
    const report = htmlPage(runReport(readRun(folder)));
    expect(report.texts("h3")).toContain("Truth beside prediction");
    expect(report.text()).toContain("take 6.00 MiB of a report at most: labels.svg in the folder pictures.");
  });

  it("gives the command that repeats the run", () => {
    expect(text).toContain(
      "npx rfdetr train --data /data/birds --model tiny --epochs 4 --lr 0.001 --precision 16-mixed --seed 11",
    );
  });

  it("leaves out what the run does not have, with its heading", () => {
    const folder = join(root, "bare");
    mkdirSync(folder);
    writeFileSync(join(folder, "config.json"), JSON.stringify({ settings: { model: "tiny" } }));
    expect(htmlPage(runReport(readRun(folder))).texts("h1", "h2", "h3")).toEqual(["bare", "The run", "Repeat the run"]);
  });

  it("names what could not be read", () => {
    const folder = reportRun(join(root, "damaged"));
    writeFileSync(join(folder, "evaluation.json"), "{");
    expect(htmlPage(runReport(readRun(folder))).text()).toMatch(
      /What could not be read evaluation\.json cannot be used/,
    );
  });

  it("explains the best weights where their evaluation was kept, and says which weights it explains", () => {
    const folder = reportRun(join(root, "best and last"));
    const last = htmlPage(runReport(readRun(folder))).text();
    expect(last).toContain("Figures of the last evaluation, epoch 7.");
    expect(last).toContain("Figures by size are of the last evaluation, epoch 7.");
    const details = exampleDetails();
    const best = { ...details, AP_medium: 0.875, origin: { ...details.origin, epoch: 2 } };
    writeFileSync(join(folder, "evaluation-best.json"), JSON.stringify(best));
    const words = htmlPage(runReport(readRun(folder))).text();
    expect(words.split("Figures of the best weights, epoch 2.")).toHaveLength(3);
    expect(words).toContain("medium objects 0.875");
    expect(words).toContain("Figures by size are of the best weights, epoch 2.");
    expect(words).not.toContain("last evaluation");
  });

  it("has a dash for the figures that an evaluation lacks", () => {
    const folder = reportRun(join(root, "few figures"));
    const bird = { class_name: "bird", AP: 0.5 };
    writeFileSync(join(folder, "evaluation.json"), JSON.stringify({ AP: 0.5, per_class: [bird] }));
    expect(htmlPage(runReport(readRun(folder))).text()).toMatch(/bird\s*–\s*0\.500\s*–\s*–\s*–/);
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

describe("the chapter on numerics", () => {
  it("begins with what to know", () => {
    expect(text).toContain(
      "3 steps of 40 in 16-mixed changed nothing, because the loss scale was too large for a gradient: the scaler finds its scale in this way.",
    );
    expect(text).toContain("Outputs in float16 came closest to overflow in decoder.layers.0: +3.0 bits were left.");
  });

  it("shows the loss scale, and tells each fault with what followed", () => {
    expect(text).toContain("It began at 65,536 and ended at 8,192 (2¹³), after 3 changes.");
    expect(text).toContain("It happened 2 times, for up to 2 steps in a row.");
    expect(text).toContain("3 times from step 1 to 30: a gradient was not finite, first at decoder.layers.0");
    expect(text).toContain(
      "the gradient at the output of decoder.layers.0 was the first that was not; it came from class_embed.",
    );
    expect(page.texts("tr")).toContain("3016,384decoder.layers.0.weightstep 31, scale 8,192");
    expect(text).toContain("Images of the batch: train/1.jpg.");
    expect(text).toContain("The scaler has halved the scale.");
  });

  it("tells a single fault in sentences", () => {
    const folder = reportRun(join(root, "single"), { precision: "32-true" });
    writeFileSync(
      join(folder, "numerics.jsonl"),
      [
        stepRecord(1, { scale: 1, loss: Number.NaN, skipped: true, fault: "loss", bad_module: "head" }),
        overflowReport(1),
        stepRecord(2, { scale: 1 }),
      ]
        .map((record) => `${recordLine(record)}\n`)
        .join(""),
    );
    expect(htmlPage(runReport(readRun(folder))).text()).toContain(
      "Step 1: head was not finite The output of head (operator linear) was the first value that was not finite. The step changed nothing. Step 2 was applied again.",
    );
  });

  it("has every module in a tree, with its headroom in words and signs", () => {
    const tree = page.all("ul").find((list) => attribute(list, "class") === "tree");
    const summaries = page
      .all("summary")
      .filter((summary) => isIn(summary, tree))
      .map((summary) => page.text(summary));
    expect(summaries).toEqual([
      "decoder.layers.0◆ out +3.0 · 2 % zero◆ grad +12.0 · 2 % zero · overflowed in a skipped step",
      "backbone.0.encoder.norm● out +14.4",
    ]);
    expect(text).toContain("The largest output was −4,096, at [0, 3] in step 40, made by the image train/7.jpg.");
    expect(page.all("image").length).toBeGreaterThan(4);
  });

  it("marks the module that overflowed, and none of those that it spread to", () => {
    const folder = reportRun(join(root, "forward"));
    const [fault, ...modules] = ["decoder", "decoder", "head"];
    const nan = modules.map((path) => moduleRecord(path, Number.NaN, { non_finite: 1 }));
    const fine = modules.map((path) => moduleRecord(path, 8, { exponents: { first: 0, counts: [9] } }));
    writeFileSync(
      join(folder, "numerics.jsonl"),
      [
        stepRecord(1, { scale: 1 }),
        monitorRecord(1, { forward: fine }),
        stepRecord(2, { scale: 1, loss: Number.NaN, skipped: true }),
        overflowReport(2, { module: fault }),
        monitorRecord(2, { forward: nan }),
      ]
        .map((record) => `${recordLine(record)}\n`)
        .join(""),
    );
    const report = htmlPage(runReport(readRun(folder)));
    const badges = report.texts("summary").filter((summary) => summary.includes("out "));
    expect(badges).toEqual(["decoder✕ out +13.0", "head● out +13.0"]);
    expect(report.text()).toContain("The output of decoder was not finite at step 2.");
  });

  const watchedOnce = (name: string, records: readonly Parameters<typeof recordLine>[0][]): HtmlPage => {
    const folder = reportRun(join(root, name));
    const header = headerRecord({ precision: "bf16-mixed", monitor_interval: 200 });
    writeFileSync(join(folder, "numerics.jsonl"), [header, ...records].map((each) => `${recordLine(each)}\n`).join(""));
    return htmlPage(runReport(readRun(folder)));
  };
  const values = (path: string, dtype: string, amax: number, more: Partial<ModuleRecord> = {}): ModuleRecord =>
    moduleRecord(path, amax, { dtype, exponents: { first: Math.floor(Math.log2(amax)), counts: [100] }, ...more });
  /** Gradients whose largest is 2^top, with `small` of 100 at 2^low. */
  const gradient = (path: string, [low, top]: readonly [number, number], small: number): ModuleRecord =>
    values(path, "bfloat16", 2 ** top, {
      fp16_flush: low < -25 ? small / 100 : 0,
      exponents: { first: low, counts: [small, ...Array<number>(top - low - 1).fill(0), 100 - small] },
    });
  const badgesOf = (report: HtmlPage): string[] =>
    report.texts("summary").filter((summary) => /out |grad /.test(summary));

  it("weighs what float16 makes zero, and names the loss scales that keep both ends", () => {
    const sides = { gradient: [gradient("head", [-30, 2], 60), gradient("neck", [-10, 0], 60)] };
    const report = watchedOnce("flushed", [stepRecord(1, { scale: 1 }), monitorRecord(1, sides)]);
    const words = report.text();
    expect(badgesOf(report)).toEqual(["head◆ grad +14.0 · 60 % zero", "neck● grad +16.0"]);
    expect(words).not.toMatch(/Gradients would have fit|All 2 modules had room/);
    expect(words).toContain("In 1 of 2 modules, more than 5 % would have become zero: most in head, 60 %.");
    expect(words).toContain("Loss scales from 32 to 8,192 would have kept the gradients in float16 at both ends");
    expect(words).toContain("16-mixed begins at 65,536, and would have skipped steps until it came down.");
  });

  it("says so where no loss scale keeps both ends", () => {
    const sides = { gradient: [gradient("head", [-45, 2], 60), gradient("neck", [-10, 8], 60)] };
    const report = watchedOnce("no scale", [stepRecord(1, { scale: 1 }), monitorRecord(1, sides)]);
    expect(report.text()).toContain(
      "No loss scale would have kept all gradients in float16: above 128, that of neck overflows; below 2²⁰, more than 5 % of those of head become zero.",
    );
  });

  it("gives each badge the sign of the figures beside it, whatever the dtype of the run", () => {
    const forward = [
      values("a", "bfloat16", 2 ** 13),
      values("b", "bfloat16", 2 ** 15),
      values("c", "bfloat16", 2 ** 20),
      values("d", "bfloat16", 4, { fp16_flush: 0.07 }),
      values("e", "bfloat16", 4),
      values("f", "bfloat16", 2 ** 127),
    ];
    const report = watchedOnce("bf16 badges", [stepRecord(1, { scale: 1 }), monitorRecord(1, { forward })]);
    expect(badgesOf(report)).toEqual([
      "a◆ out +3.0",
      "b▲ out +1.0",
      "c○ out −4.0",
      "d◆ out +14.0 · 7 % zero",
      "e● out +14.0",
      "f▲ out +1.0 of bfloat16",
    ]);
    const wide = [values("a", "float16", 8), values("b", "float32", 2 ** 15)];
    const fp16 = watchedOnce("16 badges", [stepRecord(1, { scale: 1 }), monitorRecord(1, { forward: wide })]);
    expect(badgesOf(fp16)).toEqual(["a● out +13.0", "b○ out +1.0"]);
    expect(fp16.text()).toContain("close to the ends of float16 or beyond them, and held in a wider dtype here");
  });

  it.each([
    ["mask_token", " The encoder's mask_token never does: only the pretraining of DINOv2 uses it."],
    ["norm.weight", ""],
  ])("says why %s did not move, where that is by design", (still, why) => {
    const updates = [
      { name: "class_embed.weight", ratio: 1e-3, bf16_lost: 0 },
      { name: `backbone.0.encoder.${still}`, ratio: 0, bf16_lost: 0 },
    ];
    const report = watchedOnce(`still ${still}`, [stepRecord(1, { scale: 1 }), monitorRecord(1, { updates })]);
    const sentence = "1 parameter did not move on any watched step (1 of 1 step watched).";
    expect(report.texts("p")).toContain(sentence + why);
  });

  it("says how many steps were watched, and names the module of a skipped step that was not", () => {
    const found = { scale: 65536, skipped: true, fault: "gradient of head.bias", bad_parameter: "head.bias" };
    const report = watchedOnce("watched once", [
      stepRecord(1, { scale: 65536 }),
      monitorRecord(1, { scale: 65536, gradient: [values("head", "float16", 2 ** 10)] }),
      stepRecord(2, { scale: 65536 }),
      stepRecord(3, found),
      stepRecord(4, { scale: 32768 }),
    ]);
    const words = report.text();
    expect(words).toContain(
      "The modules were watched on 1 of 4 steps (monitor_interval 200): what follows is said of these.",
    );
    expect(words).toContain("1 skipped step was not among them.");
    expect(words).toContain("Of 1 module: 1 worth a look, on the watched steps: 1 of 4 steps.");
    expect(words).toContain("is 32,768: above it, that of head overflows.");
    expect(badgesOf(report)).toEqual(["head◆ grad +6.0 · overflowed in a skipped step"]);
  });

  it("says what was foreseen", () => {
    expect(page.texts("tr")).toContain("decoder.layers.0outputs, float16step 30step 40+3.010step 80no");
  });

  it("has updates, memory, time, and the cost against 32-true", () => {
    expect(text).toContain("If the weights themselves were bfloat16, 63 % of the changes would have been lost");
    expect(text).toContain("Of 8.58 MiB in backward of step 9, the highest that was looked at.");
    expect(page.texts("text")).toEqual(
      expect.arrayContaining(["activations", "float16", "waiting for images", "between the steps"]),
    );
    expect(text).toContain("16-mixed was 1.5 times as fast as 32-true and took 0.6 times the memory.");
    expect(text).toContain("Its gradient points 1.15° away from the exact one.");
  });

  it("of a run without a loss scale says so, and what float16 would have done", () => {
    const report = reportOf({ precision: "bf16-mixed" }).text();
    expect(report).toContain("The loss was not scaled, which only float16 needs.");
    expect(report).toContain("Outputs would have fit into float16, with +3.0 bits left in decoder.layers.0.");
    expect(report).not.toContain("What was not finite");
  });
});

describe("the report of a run of several processes", () => {
  it("says which of them holds up the others, and shows what each did", () => {
    const folder = join(root, "twins");
    const summary = { processes: 2 };
    writeExampleRun(folder, { steps: 120, watchedEvery: 0, hosts: ["<b>birch</b>", "oak"], summary });
    const page = htmlPage(runReport(readRun(folder)));
    expect(page.text()).toMatch(/Processes\s*2\s*Hardware/);
    expect(page.text()).toContain("memory of rank 0");
    expect(page.text()).toMatch(/Rank 1 on oak is slow: it works 24\d ms a step, the others 16\d ms/);
    expect(page.text()).toContain("<b>birch</b>");
    const titles = page.all("figcaption").map((caption) => page.text(caption));
    for (const title of ["Work of each step", "Waiting of each step", "Gradient norm of each process"])
      expect(titles).toContain(title);
  });
});
