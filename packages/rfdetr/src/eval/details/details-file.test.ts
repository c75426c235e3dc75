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
