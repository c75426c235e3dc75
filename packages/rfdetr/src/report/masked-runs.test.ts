// What reports say of models that predict masks, and of runs with and without them side by side.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type HtmlPage, htmlPage } from "../testing/pages/html-page.js";
import { maskedDetails } from "../testing/runs/masked-details.js";
import { reportRun } from "../testing/runs/report-run.js";
import { pageOf, root } from "../testing/runs/written-report.js";
import { comparisonReport } from "./compare/comparison.js";
import { type RunRecord, readRun } from "./records/run-record.js";
import { reportFigures } from "./report-figures.js";

const withMasks = reportRun(join(root, "masks"), {
  summary: { AP: 0.3, AP50: 0.6, mask_AP: 0.25, mask_AP50: 0.5, best_epoch: 2 },
  validImages: 100,
});
const header = "epoch,val/AP,val/AP50,val/mask_AP,val/mask_AP50,train/loss";
writeFileSync(join(withMasks, "metrics.csv"), `${header}\n1,0.4,0.7,0.1,0.2,90\n2,0.3,0.6,0.25,0.5,80\n`);
writeFileSync(join(withMasks, "evaluation.json"), JSON.stringify(maskedDetails()));
const withoutMasks = reportRun(join(root, "detector"), { validImages: 100 });
const [masked, boxed] = [withMasks, withoutMasks].map((folder) => readRun(folder));

describe("the report of a run with masks", () => {
  const page = pageOf(withMasks);
  const text = page.text();

  it("gives the figures of masks first", () => {
    expect(text).toContain("reached mask AP 0.250 and mask AP50 0.500, with box AP 0.300, at epoch 2.");
    expect(text).toContain("Average precision of masks");
    expect(text).toContain("Average precision of boxes");
    expect(text).toContain("at epoch 2. Mask AP of small objects 0.125 and medium objects 0.250.");
    expect(page.texts("th")).toEqual(
      expect.arrayContaining(["mask AP", "mask AP50", "mask AP75", "mask AR", "box AP", "precision of masks"]),
    );
    const rows = page.texts("tr");
    expect(rows).toContain("bird40.2000.3130.1880.2500.4000.310.5000.2500.333");
    expect(rows).toContain("small, up to 32² pixels30.1250.2500.1250.250");
    expect(rows).toContain("01210.2500.5000.500");
    expect(reportFigures({ out: "report.html", bytes: 1, runs: [masked] }).runs).toMatchObject([
      { AP: 0.3, AP50: 0.6, mask_AP: 0.25, mask_AP50: 0.5, best_epoch: 2 },
    ]);
  });

  it("says what errors of masks cost, and of boxes", () => {
    expect(text).toContain("Inexact masks of objects cost most: 25.0 hundredths of AP50 of masks.");
    expect(text).toContain(" Missed small objects cost most: 12.5 hundredths of AP50 of boxes.");
    expect(text).toContain("AP50 of masks lost to each kind of error");
    expect(text).toContain("AP50 of boxes lost to each kind of error");
    expect(text).toContain("The class is right, the mask only overlaps the object (TIDE: localisation).");
  });

  it("recommends the threshold that is best for masks, and names that of boxes", () => {
    expect(text).toMatch(
      /One threshold for all classes: 0\.31\..* at IoU 0\.5 of masks\. By the boxes it would be 0\.42, with F1 0\.638\. The table/,
    );
  });
});

describe("the report of a run without masks", () => {
  it("does not tell boxes from masks", () => {
    expect(pageOf(withoutMasks).text()).not.toMatch(/mask|box AP|of boxes/);
  });
});

describe("the comparison of runs", () => {
  const comparisonOf = (...runs: RunRecord[]): HtmlPage => htmlPage(comparisonReport(runs));

  it("compares boxes where only one has masks, and names no winner: the runs are of different kinds", () => {
    const mixed = comparisonOf(masked, boxed);
    const text = mixed.text();
    expect(text).toContain("The runs are of different kinds, masks and boxes: their AP does not tell which is best.");
    expect(text).not.toContain("is best:");
    expect(mixed.texts("tr")).toContain("box AP at the best epoch0.3000.400");
    expect(mixed.texts("tr").filter((row) => row.startsWith("loss at the end"))).toEqual([
      expect.stringMatching(/^loss at the end80[^★]+$/),
    ]);
    expect(text).toContain("best mask AP");
    expect(text).toContain("Box AP by epoch");
    expect(text).toContain("Box AP50 by epoch");
    expect(text).toContain("Box AP of each class at the last evaluation");
    expect(text).not.toContain("Mask AP of each class");
  });

  it("says AP alone where none has masks", () => {
    const text = comparisonOf(boxed, boxed).text();
    expect(text).toContain("AP of each class at the last evaluation");
    expect(text).not.toMatch(/box AP/i);
  });

  it("compares masks and boxes where all have masks", () => {
    const segmenters = comparisonOf(masked, masked);
    expect(segmenters.text()).toContain("The best runs are equal: mask AP 0.250.");
    expect(segmenters.text()).toContain("Mask AP of each class at the last evaluation");
    expect(segmenters.text()).toContain("Box AP of each class at the last evaluation");
    expect(segmenters.texts("tr")).toEqual(expect.arrayContaining(["bird0.2000.200", "bird0.4000.400"]));
  });
});
