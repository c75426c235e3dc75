import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { writeDetails } from "../../eval/details/details-file.js";
import { exampleDetails } from "../../testing/runs/example-details.js";
import { maskedDetails } from "../../testing/runs/masked-details.js";
import { runSummary } from "../../testing/runs/run-events.js";
import { type DataFaults, mendCommand, nextCommand, predictCommand, trainCommand } from "./next-command.js";

const root = mkdtempSync(join(tmpdir(), "next-"));
const before = process.cwd();
beforeAll(() => process.chdir(root));
afterAll(() => {
  process.chdir(before);
  rmSync(root, { recursive: true });
});
const after = (dir: string, data: string | null, summary = runSummary): string => nextCommand({ dir, summary }, data);

it("detects in the validation images after a run", () => {
  mkdirSync("my birds/valid/images", { recursive: true });
  mkdirSync("owls/val", { recursive: true });
  expect(after(join(process.cwd(), "runs/a"), "owls")).toBe("npx rfdetr predict owls/val --weights runs/a");
  expect(after("/runs/it's", "my birds")).toBe("npx rfdetr predict 'my birds/valid/images' --weights '/runs/it'\\''s'");
  expect(after("runs/a", "nowhere")).toBe("npx rfdetr predict IMAGE --weights runs/a");
  expect(after("runs/a", null)).toBe("npx rfdetr predict IMAGE --weights runs/a");
});

it("detects at the best threshold of the evaluation, where that is one of the best weights", () => {
  const details = exampleDetails();
  const { epoch } = details.origin;
  mkdirSync("runs/b", { recursive: true });
  const next = (best_epoch: number | null): string => after("runs/b", null, { ...runSummary, best_epoch });
  expect(next(epoch)).toBe("npx rfdetr predict IMAGE --weights runs/b");
  writeDetails("runs/b/evaluation.json", {
    ...details,
    best_threshold: { ...details.best_threshold, threshold: 0.42 },
  });
  expect(next(epoch)).toBe("npx rfdetr predict IMAGE --weights runs/b --threshold 0.42");
  expect(next(1)).toBe("npx rfdetr predict IMAGE --weights runs/b");
  writeDetails("runs/b/evaluation-best.json", {
    ...details,
    origin: { ...details.origin, epoch: 1 },
    best_threshold: { ...details.best_threshold, threshold: 0.33 },
  });
  expect(next(1)).toBe("npx rfdetr predict IMAGE --weights runs/b --threshold 0.33");
  expect(next(epoch)).toBe("npx rfdetr predict IMAGE --weights runs/b --threshold 0.42");
  writeDetails("runs/b/evaluation.json", maskedDetails());
  expect(next(epoch)).toBe("npx rfdetr predict IMAGE --weights runs/b --threshold 0.31");
  writeFileSync("runs/b/evaluation.json", "{}");
  expect(next(epoch)).toBe("npx rfdetr predict IMAGE --weights runs/b");
});

it("detects in the images of the split that was evaluated", () => {
  for (const folder of ["rooks/valid", "rooks/test/images", "rooks/images/train"])
    mkdirSync(folder, { recursive: true });
  const next = (split: "train" | "valid" | "test"): string => predictCommand("runs/a", "rooks", null, split);
  expect(next("test")).toBe("npx rfdetr predict rooks/test/images --weights runs/a");
  expect(next("train")).toBe("npx rfdetr predict rooks/images/train --weights runs/a");
  expect(next("valid")).toBe("npx rfdetr predict rooks/valid --weights runs/a");
  expect(predictCommand("runs/a", "rooks", "best", "test")).toBe(
    "npx rfdetr predict rooks/test/images --weights runs/a --threshold best",
  );
});

it("continues a run that was interrupted", () => {
  expect(after("a b", "owls", { ...runSummary, stop_reason: "interrupted" })).toBe("npx rfdetr train --resume 'a b'");
});

const mend = (refused: string[], faults: Partial<DataFaults> = {}) =>
  mendCommand("my birds", { refused, train: true, repairable: true, masks: false, ...faults });

it("parts data that only lacks a split, where there is something to part", () => {
  expect(mend(["missing split"])?.[0]).toBe("npx rfdetr data split 'my birds' OUT");
  expect(mend(["missing split", "missing split"], { train: false, repairable: false })).toBe(null);
});

it("repairs a copy of data with other faults, where one can be written", () => {
  const fix = "npx rfdetr data check 'my birds' --fix OUT";
  expect(mend(["missing files"])).toEqual([fix, "writes a copy without what can be left out"]);
  expect(mend(["malformed outlines"], { masks: true })?.[0]).toBe(fix.replace(" --fix", " --masks --fix"));
  expect(mend(["missing split", "missing files"])).toEqual([
    fix,
    "writes a copy without what can be left out; data split then makes the missing split of it",
  ]);
  expect(mend(["missing files"], { repairable: false })).toBe(null);
});

it("promises no repaired copy of data without outlines", () => {
  const [command, effect] = mend(["missing files", "no outlines"], { masks: true, repairable: false }) ?? [];
  expect(command).toBe("npx rfdetr data stats 'my birds' --masks");
  expect(effect).toContain("a repaired copy cannot be written");
});

it("trains a named model on data", () => {
  expect(trainCommand("my birds", "nano")).toBe("npx rfdetr train --data 'my birds' --model nano");
  expect(trainCommand("birds", "seg-nano")).toBe("npx rfdetr train --data birds --model seg-nano");
});
