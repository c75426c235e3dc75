import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readDetails } from "../../eval/details/details-file.js";
import { exampleDetails } from "../../testing/runs/example-details.js";
import { EvaluationFolder } from "./evaluation-folder.js";

const folder = mkdtempSync(join(tmpdir(), "evaluation-folder-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("the folder of an evaluation", () => {
  it("takes no second one that began before the first was written", async () => {
    const path = join(folder, "both");
    const [first, second] = [EvaluationFolder.open(path), EvaluationFolder.open(path)];
    const details = exampleDetails();
    await first.write(details, true);
    await expect(second.write({ ...details, AP: 0 }, true)).rejects.toThrow(
      `${path} has evaluation.json and pictures: choose another folder`,
    );
    expect(readDetails(join(path, "evaluation.json"))).toEqual(details);
  });
});
