import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { exampleDetails } from "../../testing/runs/example-details.js";
import { maskedDetails } from "../../testing/runs/masked-details.js";
import { Console } from "../console/console.js";
import { evaluationJson, printEvaluation } from "./val-report.js";

function printed(details: ReturnType<typeof exampleDetails>): string[] {
  const out = new PassThrough();
  printEvaluation(new Console({}, { out, err: new PassThrough() }), details, details, null);
  const lines = String(out.read()).split("\n");
  return lines.map((line) => line.trim().replaceAll(/ +/g, " "));
}

describe("what val prints", () => {
  it("has the figures of masks before those of boxes, and those of masks for each class", () => {
    const lines = printed(maskedDetails());
    expect(lines.slice(0, 3)).toEqual([
      "of AP AP50 AP75 AP_small AP_medium AP_large AR1 AR10 AR100",
      "masks 0.200 0.313 0.188 0.125 0.250 – 0.150 0.250 0.250",
      "boxes 0.400 0.625 0.375 0.250 0.500 – 0.300 0.500 0.500",
    ]);
    expect(lines).toContain("class objects mask AP mask AP50 mask AP75 mask AR box AP threshold");
    expect(lines).toContain("bird 4 0.200 0.313 0.188 0.250 0.400 0.31");
    expect(lines.join(" ")).toContain("Best threshold for all classes, by masks: 0.31 (F1 0.333");
    expect(lines.join(" ")).toContain("Best threshold for all classes, by boxes: 0.42 (F1 0.638");
    expect(lines).toContain("Inexact masks of objects cost most: 25.0 hundredths of AP50 of masks");
    expect(lines).toContain("Missed small objects cost most: 12.5 hundredths of AP50 of boxes");
  });

  it("says of the test split that thresholds are chosen on valid", () => {
    const details = exampleDetails();
    const of = (split: "valid" | "test") => printed({ ...details, origin: { ...details.origin, split } });
    const sentence = "Choose thresholds on valid: one chosen on test makes the figures of test too good";
    expect(of("test")).toContain(sentence);
    expect(of("valid")).not.toContain(sentence);
  });

  it("has the figures of masks of each of several datasets", () => {
    const details = maskedDetails();
    const pond = { path: "pond", images: 3, instances: 4, AP: 0.4, AP50: 0.625 };
    details.datasets = [pond];
    details.masks.datasets = [{ ...pond, AP: 0.2, AP50: 0.3125 }];
    const lines = printed(details);
    expect(lines).toContain("dataset images objects mask AP mask AP50 box AP");
    expect(lines).toContain("pond 3 4 0.200 0.313 0.400");
    expect(printed({ ...exampleDetails(), datasets: [pond] })).toContain("pond 3 4 0.400 0.625");
  });

  it("speaks of no masks where there are none", () => {
    const lines = printed(exampleDetails());
    expect(lines.slice(0, 2)).toEqual([
      "AP AP50 AP75 AP_small AP_medium AP_large AR1 AR10 AR100",
      "0.400 0.625 0.375 0.250 0.500 – 0.300 0.500 0.500",
    ]);
    expect(lines).toContain("class objects AP AP50 AP75 AR threshold");
    expect(lines.join(" ")).toContain("Best threshold for all classes: 0.42 (");
    expect(lines.join(" ")).not.toMatch(/box/);
  });

  it("has the same figures of masks as JSON, with -1 where pycocotools has it", () => {
    const details = maskedDetails();
    const { curves, confusion, ...ofMasks } = details.masks;
    const summary = { ...details, masks: ofMasks };
    const { masks } = evaluationJson(summary, details, false) as typeof details;
    expect(masks).toEqual(ofMasks);
    const stock = evaluationJson(summary, details, true) as typeof details;
    expect(stock.masks).toMatchObject({ AP: 0.2, AP_large: -1, per_class: [{ AP: 0.2 }, { AP: -1, AR: -1 }] });
    expect(stock.masks).toMatchObject({
      best_threshold: { threshold: 0.31 },
      per_class: [{ best: { f1: 0.333 } }, {}],
    });
    expect(evaluationJson(exampleDetails(), exampleDetails(), false)).not.toHaveProperty("masks");
  });
});
