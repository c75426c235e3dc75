// Datasets of the goldens of COCO's figures, as an evaluator.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CocoEvaluator } from "../../eval/coco/coco.js";
import { loadFiles } from "../../eval/coco/coco-files.js";

/** A case of `coco.json` or `coco-masks.json`, with what reading it needs. */
export interface GoldenDataset {
  name: string;
  annotations: unknown;
  results: unknown;
  max_dets: number[];
}

/** The cases of a file of goldens. */
export const goldenDatasets = <T extends GoldenDataset>(name: "coco" | "coco-masks"): T[] =>
  JSON.parse(readFileSync(new URL(`../../eval/coco/fixtures/${name}.json`, import.meta.url), "utf8"));

/** Reads a case as `rfdetr val` reads files. */
export function loadGolden({ annotations, results, max_dets: maxDets }: GoldenDataset): CocoEvaluator {
  const folder = mkdtempSync(join(tmpdir(), "golden-"));
  const write = (name: string, content: unknown): string => {
    const path = join(folder, name);
    writeFileSync(path, JSON.stringify(content));
    return path;
  };
  const evaluator = loadFiles(write("annotations.json", annotations), write("results.json", results), { maxDets });
  rmSync(folder, { recursive: true });
  return evaluator;
}
