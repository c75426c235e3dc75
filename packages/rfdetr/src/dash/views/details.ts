// The head of a run that the page has opened: state, settings, faults, pictures.
import type { Reading } from "../runs/open-run.js";
import type { RunDetails, RunRow } from "../wire.js";
import { shownSettings } from "./settings.js";

/** What a page shows at the head of a run that is opened. */
export function runDetails(
  row: RunRow,
  { record }: Reading,
  state: Pick<RunDetails, "controls" | "overrides">,
): RunDetails {
  const { config, faults, pictures, numerics } = record;
  return {
    row,
    faults,
    config: {
      settings: shownSettings(config?.settings ?? {}, config?.model_config ?? {}, config?.seed ?? null),
      reason: config?.reason ?? null,
      hardware: config?.hardware ?? null,
      seed: config?.seed ?? null,
      classes: config?.class_names ?? [],
      images: { train: config?.data?.train.images ?? null, valid: config?.data?.valid.images ?? null },
    },
    processes: numerics.ranks?.ranks.length ?? 1,
    pictures: pictures.map(({ file, kind, title, alt, width, height }) => ({ file, kind, title, alt, width, height })),
    ...state,
  };
}
