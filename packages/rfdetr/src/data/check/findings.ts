// Runs the table of checks over a listed dataset.
import { shellWord, shownPath } from "../../support/format.js";
import type { Split } from "../formats/dataset.js";
import type { DatasetListing } from "../formats/list-dataset.js";
import type { Listing, Problem } from "../formats/listing.js";
import type { Check, TrainingReaction } from "./check-kinds.js";
import { checks } from "./checks.js";

/** A fault with the split it is in. */
export interface Finding extends Problem {
  split: Split;
  /** What training does about it. The test split is not trained on: its faults are kept. */
  training: TrainingReaction;
}

const byName: ReadonlyMap<string, Check> = new Map(checks.map((check) => [check.name, check]));

/** What training does about a fault in a split. */
export function effectOf(check: string, split: Split): TrainingReaction {
  const known = byName.get(check);
  if (split === "test" || known === undefined) return "kept";
  return split === "valid" ? (known.valid ?? known.training) : known.training;
}

/**
 * What to do about faults.
 * @param data the dataset, as the command takes it
 * @param masks whether they may be of outlines
 * @param found names of checks
 */
export function checkHint(data: string, masks = false, found: readonly string[] = []): string {
  const lists = `\`npx rfdetr data check ${shellWord(shownPath(data))}${masks ? " --masks" : ""}\` lists every fault`;
  // These cannot be left out.
  if (found.includes("no outlines")) return `${lists}; annotate the outlines of the objects, or train a detector`;
  return `${lists}, and can write a copy without them`;
}

/** The findings of one split, in the order of the table. */
export function findingsOf(listing: DatasetListing, split: Split): Finding[] {
  const own: readonly Problem[] = listing.problems.filter((problem) => problem.split === split);
  const listed = listing.splits[split];
  const found = listed === undefined ? [] : run(listed);
  return [...own, ...found].map(({ check, file, id, message }) => ({
    check,
    split,
    file,
    id,
    message,
    training: effectOf(check, split),
  }));
}

const run = (listing: Listing): Problem[] => checks.flatMap(({ find }) => find(listing));

/** Findings of each split and check, in their order. */
export function groupFindings<T extends Pick<Finding, "split" | "check">>(findings: readonly T[]): T[][] {
  const groups = new Map<string, T[]>();
  for (const finding of findings) {
    const key = `${finding.split}: ${finding.check}`;
    if (!groups.get(key)?.push(finding)) groups.set(key, [finding]);
  }
  return [...groups.values()];
}
