// Changes of precision in the middle of a run, each with the step from which it holds.
import type { Overrides } from "@rfdetr/amp";
import { moduleRules } from "@rfdetr/amp/names";
import { z } from "zod";
import { count } from "./setting.js";

/** The rule of a module, as `precision_overrides` takes it. */
export const moduleRule = z.enum(moduleRules);

const change = z.union([
  z.strictObject({ step: count, pattern: z.string().min(1), rule: moduleRule }),
  z.strictObject({ step: count, undo: z.literal(true) }),
]);

/** The type of the setting `precision_changes`. An undo takes back the last override that was not taken back yet. */
export const precisionChanges = z
  .array(change)
  .refine((all) => all.every(({ step }, i) => i === 0 || step >= all[i - 1].step))
  .refine((all) => {
    let set = 0;
    return all.every((each) => (set += "undo" in each ? -1 : 1) >= 0);
  });

/** A change of the overrides: a rule for a pattern, or the undoing of the last one. */
export type PrecisionChange = z.output<typeof change>;

/** How many overrides are set and not taken back. */
export function overridesSet(changes: readonly PrecisionChange[]): number {
  return changes.reduce((set, each) => set + ("undo" in each ? -1 : 1), 0);
}

/**
 * The overrides that hold for a step.
 * @param step its number, from 1
 */
export function overridesAt(
  {
    precisionOverrides,
    precisionChanges,
  }: { precisionOverrides: Overrides; precisionChanges: readonly PrecisionChange[] },
  step: number,
): Overrides {
  const stack: Overrides[] = [precisionOverrides];
  for (const each of precisionChanges) {
    if (each.step > step) break;
    if ("undo" in each) stack.pop();
    // Of the patterns that match a module the last one counts: the new one is put behind the others.
    else stack.push(withOverride(stack.at(-1) as Overrides, each.pattern, each.rule));
  }
  return stack.at(-1) as Overrides;
}

/** Overrides with one more, which counts where others match the same modules. */
function withOverride(overrides: Overrides, pattern: string, rule: z.output<typeof moduleRule>): Overrides {
  const { [pattern]: _, ...others } = overrides;
  return { ...others, [pattern]: rule };
}

/** Changes for people: `from step 4 transformer.* in fp32, from step 9 the last one taken back`; `none` without any. */
export const changesInWords = (changes: readonly PrecisionChange[]): string =>
  changes
    .map(
      (each) =>
        `from step ${each.step} ${"undo" in each ? "the last one taken back" : `${each.pattern} in ${each.rule}`}`,
    )
    .join(", ") || "none";
