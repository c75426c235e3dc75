import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { EvaluationError } from "../../support/errors.js";
import { exampleDetails } from "../../testing/runs/example-details.js";
import { maskedDetails } from "../../testing/runs/masked-details.js";
import { readDetails, writeDetails } from "./details-file.js";

const folder = mkdtempSync(join(tmpdir(), "details-"));
const file = join(folder, "evaluation.json");
afterAll(() => rmSync(folder, { recursive: true }));

describe("the file of an evaluation", () => {
  it("reads back as it was written", () => {
    const details = exampleDetails();
    writeDetails(file, details);
    expect(readDetails(file)).toEqual(details);
  });

  it("keeps the figures of masks, and refuses damaged ones", () => {
    const details = maskedDetails();
    writeDetails(file, details);
    expect(readDetails(file)).toEqual(details);
    writeFileSync(file, JSON.stringify({ ...details, masks: { ...details.masks, AP50: "high" } }));
    expect(() => readDetails(file)).toThrow(/damaged: Expected a number for masks.AP50/);
    writeFileSync(file, JSON.stringify({ ...details, masks: { ...details.masks, errors: null } }));
    expect(() => readDetails(file)).toThrow(/damaged: Expected an object for masks.errors/);
  });

  it("is refused where a figure cannot be, of boxes or of masks", () => {
    const refuses = (change: (details: ReturnType<typeof maskedDetails>) => void, sentence: string): void => {
      // Not `structuredClone`: figures that are one object there shall differ.
      const details = JSON.parse(JSON.stringify(maskedDetails()));
      change(details);
      writeFileSync(file, JSON.stringify(details));
      expect(() => readDetails(file)).toThrow(`Expected ${sentence}`);
    };
    const masksOf = ({ masks }: ReturnType<typeof maskedDetails>) => masks as NonNullable<typeof masks>;
    refuses((of) => {
      of.AP = 1.7;
    }, "a number from 0 to 1 for AP but received 1.7");
    refuses((of) => {
      of.AR10 = 40;
    }, "a number from 0 to 1 for AR10 but received 40");
    refuses((of) => {
      masksOf(of).AP50 = -0.5;
    }, "a number from 0 to 1 for masks.AP50 but received -0.5");
    refuses((of) => {
      masksOf(of).best_threshold.threshold = 5;
    }, "a number from 0 to 1 for masks.best_threshold.threshold but received 5");
    refuses((of) => {
      masksOf(of).per_class[0].AP = 30;
    }, "a number from 0 to 1 for masks.per_class.0.AP but received 30");
    refuses((of) => masksOf(of).curves.mean.f1.pop(), "101 values for masks.curves.mean.f1 but received [");
    refuses((of) => {
      masksOf(of).curves.classes[0].label = of.per_class.length;
    }, "a label of at most 1 for masks.curves.classes.0.label but received 2");
    refuses((of) => {
      of.images_shown[0].truths[0].label = 9;
    }, "a label of at most 1 for images_shown.0.truths.0.label but received 9");
  });

  it("is refused in words where it is damaged, of another version, or the figures alone", () => {
    const written = (content: unknown): string => {
      writeFileSync(file, JSON.stringify(content));
      return file;
    };
    const details = exampleDetails();
    const { version, ...figures } = details;
    expect(() => readDetails(written({ ...details, AP: "0.4" }))).toThrow(/damaged: Expected a number for AP/);
    expect(() => readDetails(written({ ...details, version: version + 1 }))).toThrow(/received version 2/);
    expect(() => readDetails(written(figures))).toThrow(/without a version/);
    expect(() => readDetails(written(null))).toThrow(EvaluationError);
  });
});
