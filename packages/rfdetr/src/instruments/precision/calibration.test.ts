import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualSeed, noGrad, scope } from "@rfdetr/torch";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDataset, synthesize } from "../../data/index.js";
import type { EvaluationBatch } from "../../eval/batch.js";
import { outputsOf } from "../../eval/evaluate.js";
import { postprocess, toArrays } from "../../model/images/postprocess.js";
import { inFloat32 } from "../../model/outputs.js";
import { modelAutocast } from "../../model/precision/precision.js";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { saveWeights } from "../../weights/weights.js";
import { evaluationImages, openSubject } from "./calibration.js";
import { compareEvaluationModes } from "./compare-evaluations.js";

const folder = mkdtempSync(join(tmpdir(), "calibration-"));
afterAll(() => rmSync(folder, { recursive: true }));
const data = join(folder, "data");
const weights = join(folder, "w.safetensors");
const asked = { model: "tiny", batch: 4, device: "cpu", data };
const config = resolveModel("tiny", { numClasses: 4 });

/** Writes weights of these classes. */
function save(...classNames: string[]): void {
  manualSeed(1);
  saveWeights(weights, scope(() => new RFDETRModel(config)).stateDict(), { classNames, config });
}

describe("weights that know more classes than the data, in another order", () => {
  let [first, second] = ["", ""];
  beforeAll(async () => {
    await synthesize(data, { images: 24, size: 96, classes: 2, seed: 1 });
    [first, second] = openDataset(data, "train").classNames as [string, string];
  });

  it("are trained for a step on the classes of their own", async () => {
    const labelsOf = (subject: Awaited<ReturnType<typeof openSubject>>): number[] =>
      subject.batch.targets.flatMap(({ labels }) => [...labels]);
    const plain = labelsOf(await openSubject(asked));
    expect(new Set(plain)).toEqual(new Set([0, 1]));
    save("unused", second, "other", first);
    expect(labelsOf(await openSubject({ ...asked, weights }))).toEqual(plain.map((label) => [3, 1][label]));
  });

  it("are evaluated on the classes of the data", async () => {
    save("unused", second, "other", first);
    const subject = await openSubject({ ...asked, weights });
    const { batches, images, of, classNames, classes } = await evaluationImages(subject, data, { count: 99, batch: 2 });
    expect([images, of, classNames, [...(classes ?? [])]]).toEqual([of, of, [first, second], [-1, 1, -1, 0]]);
    const { model, device } = subject;
    const compared = {
      model,
      classNames,
      precision: "32-true",
      device,
      batches: batches.map(ofOwnDetections),
    } as const;
    expect(compareEvaluationModes({ ...compared, classes })[0]?.AP).toBeGreaterThan(0.5);

    /** A batch whose objects are the best detections of the data's classes. */
    function ofOwnDetections(batch: EvaluationBatch): EvaluationBatch {
      const autocast = modelAutocast(model.eval(), { precision: "32-true" });
      const found = noGrad(() =>
        scope(() => {
          const outputs = inFloat32(outputsOf(batch, { model, autocast, device }));
          return postprocess(outputs, batch.origSizes, model.config.numSelect).map(toArrays);
        }),
      );
      const truths = found.map(({ boxes, labels }) => {
        const best = labels.findIndex((label) => label === 1 || label === 3);
        return { boxes: boxes.slice(best * 4, best * 4 + 4), labels: Int32Array.of(labels[best] === 1 ? 1 : 0) };
      });
      return { ...batch, truths };
    }
  });

  it("are refused as the evaluation refuses them where they lack one", async () => {
    save("unused", second, "other", "more");
    await expect(openSubject({ ...asked, weights })).rejects.toThrow(
      /^Expected weights that were trained on the classes of .*data \(.*\) but theirs are unused, .*, other, more$/,
    );
  });
});
