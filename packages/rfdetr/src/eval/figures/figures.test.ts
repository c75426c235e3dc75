import sharp from "sharp";
import { describe, expect, it } from "vitest";
import type { Figure } from "../../charts/svg.js";
import type { EvaluationDetails } from "../details/evaluation-details.js";
import { confusionFigure } from "./confusion-figure.js";
import { f1Figure, precisionRecallFigure } from "./curve-figures.js";
import { figureWidth } from "./layout.js";
import { resultsFigure } from "./results-figure.js";

type Shown = Pick<EvaluationDetails, "curves" | "per_class" | "confusion" | "AP50" | "best_threshold">;

/** An evaluation of so many classes; every third has no ground truth. */
function evaluation(classes: number, name = (i: number) => `class ${i}`): Shown {
  const points = Array.from({ length: 101 }, (_, i) => i / 100);
  const falling = (power: number) => points.map((t) => 1 - t ** power);
  const known = Array.from({ length: classes }, (_, label) => label).filter((label) => label % 3 !== 2);
  const best = { threshold: 0.42, precision: 0.7, recall: 0.6, f1: 0.65 };
  return {
    AP50: known.length > 0 ? 0.5 : null,
    best_threshold: best,
    per_class: Array.from({ length: classes }, (_, label) => ({
      class_name: name(label),
      AP50: known.includes(label) ? (label + 1) / (classes + 1) : null,
      best: known.includes(label) ? best : null,
    })) as unknown as Shown["per_class"],
    curves: {
      points,
      mean: { precision_by_recall: falling(2), precision: falling(3), recall: falling(2), f1: falling(2) },
      classes: known.map((label) => {
        const y = falling(1 + label);
        return { label, precision_by_recall: y, precision: y, recall: y };
      }),
    },
    confusion: {
      confidence: 0.25,
      iou: 0.45,
      cells: known.flatMap((label): [number, number, number][] => [
        [label, label, 40 + label],
        [(label + 1) % classes, label, 3],
        [classes, label, 5],
      ]),
    },
  };
}

const drawn = (details: Shown): Figure[] => [
  precisionRecallFigure(details),
  f1Figure(details),
  confusionFigure(details),
  confusionFigure(details, { normalised: true }),
];

async function isWhole({ svg, title, alt, width, height }: Figure): Promise<void> {
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  const size = await sharp(Buffer.from(svg)).metadata();
  expect([size.width, size.height]).toEqual([width, height]);
  expect(width).toBe(figureWidth);
  expect(svg).toContain("@media screen and (prefers-color-scheme:dark)");
  expect(title.length).toBeGreaterThan(3);
  expect(alt).toMatch(/\.$/);
}

describe("figures of an evaluation", () => {
  for (const classes of [0, 1, 3, 25, 80, 150])
    it(`are whole with ${classes} classes`, async () => {
      for (const figure of drawn(evaluation(classes))) await isWhole(figure);
    });

  it("escape class names, in what is read aloud too, and shorten long ones", async () => {
    const name = (i: number) => `<script>alert("${i}")</script> & so on ${"for ever ".repeat(20)}`;
    for (const figure of drawn(evaluation(3, name))) {
      await isWhole(figure);
      expect(figure.svg).not.toContain("<script");
      expect(figure.svg).toContain("&lt;script&gt;");
      for (const [, content] of figure.svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g))
        expect(content.length).toBeLessThan(110);
    }
  });

  it("have no text smaller than nine pixels", () => {
    for (const classes of [3, 40, 80])
      for (const { svg } of drawn(evaluation(classes)))
        for (const [, size] of svg.matchAll(/font-size="([^"]+)"/g)) expect(Number(size)).toBeGreaterThanOrEqual(9);
  });

  it("say which threshold to use for each class, and of many classes which are the lowest", () => {
    const { svg, alt } = f1Figure(evaluation(3));
    expect(svg.match(/0\.65 at 0\.42/g)?.length).toBeGreaterThanOrEqual(3);
    expect(alt).toContain("The best mean F1 is 0.65 at 0.42.");
    const many = precisionRecallFigure(evaluation(80));
    expect(many.svg).toContain("The lowest 12 of 54 classes:");
    expect(many.svg).toMatch(/>class 0<.*>0\.012</s);
  });

  it("count confusions, and normalise them by the true class", () => {
    const details = { ...evaluation(2), confusion: { confidence: 0.25, iou: 0.45, cells: [] as never[] } };
    const cells = [
      [0, 0, 6],
      [1, 0, 2],
      [2, 0, 2],
      [1, 1, 5],
    ] as [number, number, number][];
    const given = { ...details, confusion: { ...details.confusion, cells } };
    expect(confusionFigure(given).svg).toContain(">6</text>");
    const { svg, alt } = confusionFigure(given, { normalised: true });
    for (const share of ["0.60", "0.20", "1.00"]) expect(svg).toContain(`>${share}</text>`);
    expect(svg).toContain("predicted class 1, true class 0: 2 (20.0 %)");
    expect(alt).toContain("Confused most: class 0 taken for class 1: 2 times (20 %).");
    expect(svg).toContain("scores above 0.25; IoU above 0.45");
    const best = given.best_threshold;
    const at = (confidence: number, f1 = best.f1) =>
      confusionFigure({ ...given, confusion: { ...given.confusion, confidence }, best_threshold: { ...best, f1 } }).svg;
    expect(at(best.threshold)).toContain("scores from 0.42 on (highest F1); IoU above 0.45");
    const binary = { ...best, threshold: 47 * 0.01 };
    const confusion = { ...given.confusion, confidence: binary.threshold };
    expect(confusionFigure({ ...given, confusion, best_threshold: binary }).svg).toContain("scores from 0.47 on");
    expect(at(0.25, 0)).toContain("scores above 0.25 (no threshold helps); IoU above 0.45");
    const once = { ...given, confusion: { ...given.confusion, cells: [[1, 0, 1]] as [number, number, number][] } };
    expect(confusionFigure(once).svg).toContain(">once, ");
  });
});

describe("the course of a run", () => {
  const row = (epoch: number, more: Record<string, number | null> = {}) => ({
    epoch,
    lr: 1e-4,
    "train/loss": 12 / epoch,
    "val/AP": epoch % 2 === 0 ? epoch / 100 : null,
    loss_scale: null,
    skipped_steps: 0,
    ...more,
  });

  it("is whole after no, one and many epochs", async () => {
    for (const count of [0, 1, 2, 300])
      await isWhole(resultsFigure(Array.from({ length: count }, (_, i) => row(i + 1))));
  });

  it("leaves out what was not recorded, such as the scale where gradients are not scaled", () => {
    expect(resultsFigure([row(1), row(2)]).svg).not.toContain("loss scale");
    expect(resultsFigure([row(1, { loss_scale: 65536 }), row(2, { loss_scale: 32768 })]).svg).toContain("loss scale");
  });

  it("draws a line across the epochs that were not evaluated", () => {
    const { svg } = resultsFigure([1, 2, 3, 4, 5, 6].map((epoch) => row(epoch, { "train/loss": null })));
    expect(svg).toMatch(/<path d="M[^ML"]+L[^ML"]+L[^ML"]+" [^>]*stroke="#0b62b0"/);
  });

  it("draws the loss of the epochs that were evaluated as a line too, beside that of all", () => {
    const { svg } = resultsFigure(
      [1, 2, 3, 4].map((epoch) => row(epoch, { "val/loss": epoch % 2 ? null : 1 / epoch })),
    );
    const [losses] = svg.split(">loss of the last layer<");
    expect(losses).not.toContain("<circle");
    expect(losses).toMatch(/<path d="M[^ML"]+L[^ML"]+" [^>]*stroke-dasharray="7 4"/);
  });

  it("leaves gaps where an evaluation has no figure", () => {
    const { svg } = resultsFigure(
      [1, 2, 3, 4].map((epoch) => row(epoch, { "val/AP": epoch === 3 ? null : 0.1, "val/AP50": 0.2 })),
    );
    expect(svg).toMatch(/<path d="M[^ML"]+L[^ML"]+M[^ML"]+" [^>]*stroke="#0b62b0"[^>]*\/>\n<circle/);
  });

  it("draws the figures of masks where there are some, and tells the best epoch by them", () => {
    expect(resultsFigure([row(2)]).svg).not.toContain("mask");
    const masks = [0.01, 0.03, 0.02].map((AP, i) => row(2 * i + 2, { "val/mask_AP": AP }));
    const { svg, alt } = resultsFigure(masks);
    expect(svg).toContain(">mask AP<");
    expect(alt).toContain("The best mask AP is 0.030, in epoch 4.");
  });

  it("tells the best epoch", () => {
    const { alt } = resultsFigure([row(2), row(4), row(6, { "val/AP": 0.03, skipped_steps: 3 })]);
    expect(alt).toBe(
      "3 epochs of training. The loss ends at 2. The best AP is 0.040, in epoch 4. 3 steps were skipped.",
    );
  });
});
