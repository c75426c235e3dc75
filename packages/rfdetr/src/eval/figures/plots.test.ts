import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { CocoEvaluator } from "../coco/coco.js";
import { confusionMatrix } from "./confusion-matrix.js";
import { precisionRecallCurves } from "./curves.js";
import { f1Sweep } from "./f1-sweep.js";
import { confusionPlot, f1Plot, precisionRecallPlot } from "./plots.js";

function evaluated(classes: number): CocoEvaluator {
  const evaluator = new CocoEvaluator({
    classNames: Array.from({ length: classes }, (_, i) => (i === 0 ? `a <b> & "c"` : `class ${i}`)),
  });
  for (let id = 0; id < 20; id++) {
    const labels = Array.from({ length: classes }, (_, i) => i);
    const boxes = labels.flatMap((label) => [label * 40, 0, label * 40 + 30, 30]);
    const shifted = boxes.map((v, i) => (i % 2 === 0 ? v + ((id * 7 + i) % 12) : v));
    evaluator.addImage({
      id,
      gt: { boxes, labels },
      detections: {
        boxes: shifted,
        labels: labels.map((label) => ((id + label) % 5 === 0 ? 0 : label)),
        scores: labels.map((label) => ((id * 13 + label * 7) % 20) / 20),
      },
    });
  }
  return evaluator;
}

describe("plots", () => {
  for (const classes of [1, 3, 40, 150]) {
    it(`are well-formed SVG with ${classes} classes`, async () => {
      const evaluator = evaluated(classes);
      for (const svg of [
        precisionRecallPlot(precisionRecallCurves(evaluator)),
        f1Plot(f1Sweep(evaluator), evaluator.classNames),
        confusionPlot(confusionMatrix(evaluator)),
      ]) {
        const { width, height } = await sharp(Buffer.from(svg)).metadata();
        expect(Math.min(width, height)).toBeGreaterThan(100);
        expect(svg).not.toMatch(/NaN|undefined/);
      }
    });
  }

  it("escape class names", () => {
    const evaluator = evaluated(3);
    expect(precisionRecallPlot(precisionRecallCurves(evaluator))).toContain("a &lt;b&gt; &amp; &quot;c&quot;");
  });

  it("draw empty axes when nothing was evaluated", () => {
    const nothing = new CocoEvaluator({ classNames: ["a"] });
    expect(precisionRecallPlot(precisionRecallCurves(nothing))).toContain("all classes – AP50");
    expect(f1Plot(f1Sweep(nothing), ["a"])).not.toContain("NaN");
    expect(confusionPlot(confusionMatrix(nothing))).not.toContain("NaN");
  });
});
