// What `data check` finds, what training does about it, and what the repaired copy holds. The three never disagree:
// they read a dataset in one way. The kinds of faults stand in `testing/faults`.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { faults, folder, found, root, writeOutlined } from "../../testing/checked-dataset.js";
import { writeCoco, writeYolo } from "../../testing/dataset-files.js";
import { boxFaults, classFaults, entryFaults, imageFaults, splitFaults } from "../../testing/faults/coco-faults.js";
import { outlineFaults } from "../../testing/faults/outline-faults.js";
import { yoloFaults } from "../../testing/faults/yolo-faults.js";
import { openDatasets } from "../open-dataset.js";
import { checkDataset } from "./check-dataset.js";
import { checks } from "./checks.js";
import { checkRepair, fixDataset } from "./fix-dataset.js";

/** Whether a run would start. */
function starts(options = {}): boolean {
  try {
    openDatasets(folder, ["train", "valid"], options);
    return true;
  } catch {
    return false;
  }
}

const tables = [
  ["splits of COCO", writeCoco, splitFaults, {}],
  ["entries of COCO", writeCoco, entryFaults, {}],
  ["images of COCO", writeCoco, imageFaults, {}],
  ["classes of COCO", writeCoco, classFaults, {}],
  ["boxes of COCO", writeCoco, boxFaults, {}],
  ["labels of YOLO", writeYolo, yoloFaults, {}],
  ["outlines", writeOutlined, outlineFaults, { masks: true }],
] as const;

describe.each(tables)("data check of the %s", (_, write, kinds, options) => {
  it.each(kinds)(
    "finds %s; training agrees, and the repaired copy is without",
    async (_what, make, findings, fixable = true) => {
      await write(folder);
      await make();
      expect(await found(options)).toEqual(findings);
      const refused = findings.some((line) => line.includes(": refused"));
      expect(starts(options)).toBe(!refused);
      expect((await checkDataset(folder, options)).ok).toBe(!refused);
      const { beyondRepair } = await checkRepair(folder, options);
      expect(beyondRepair).toEqual(fixable ? null : expect.stringContaining("cannot be repaired: "));
      const target = join(root, "fixed");
      if (!fixable) {
        await expect(fixDataset(folder, target, options)).rejects.toThrow("cannot be repaired: ");
        expect(existsSync(target)).toBe(false);
        return;
      }
      await fixDataset(folder, target, options);
      const left = (await faults(target, options)).filter(({ training }) => training !== "kept");
      // What is not there cannot be repaired.
      expect(left.filter(({ check }) => check !== "missing split")).toEqual([]);
    },
  );
});

describe("the table of checks", () => {
  it("has a different name for each check, and a case above", () => {
    const names = checks.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const shown = tables
      .flatMap(([, , kinds]) => kinds)
      .flatMap(([, , findings]) => findings)
      .join("\n");
    expect(names.filter((name) => !shown.includes(` ${name}: `))).toEqual([]);
  });
});
