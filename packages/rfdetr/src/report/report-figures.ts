// What a report or a comparison tells, as data for programs.
import { compared, differingSettings, numericsFacts, resultFacts } from "./compare/facts.js";
import type { StepProgress } from "./records/numerics-record.js";
import { type BestEpoch, bestEpoch } from "./sections/overview.js";
import type { WrittenReport } from "./write-report.js";

/** The figures of a run. */
interface RunFigures {
  folder: string;
  state: string;
  stop_reason: string | null;
  precision: string | null;
  AP: number | null;
  AP50: number | null;
  /** Of runs whose model has masks: the best epoch is the best by `mask_AP`. */
  mask_AP?: number | null;
  mask_AP50?: number | null;
  best_epoch: number | null;
  /** Epochs that have ended. */
  epochs: number;
  steps: number;
  skipped_steps: number;
  /** Where it is after its last step, of a run in progress; null for any other. */
  progress: StepProgress | null;
  faults: string[];
}

/** What `rfdetr report --json` prints. */
export interface ReportFigures {
  out: string;
  bytes: number;
  runs: RunFigures[];
  /** Of several runs: each figure with its values in the order of the runs, and the places of the best. */
  figures?: { name: string; values: (number | null)[]; best: number[] }[];
  /** Of several runs: settings that are not the same, by name. */
  settings?: Record<string, unknown[]>;
}

function figuresOf(best: BestEpoch | null): Pick<RunFigures, "AP" | "AP50" | "mask_AP" | "mask_AP50"> {
  const main = { AP: best?.AP ?? null, AP50: best?.AP50 ?? null };
  return best === null || best.boxes === null ? main : { ...best.boxes, mask_AP: main.AP, mask_AP50: main.AP50 };
}

/** The figures of a written report. */
export function reportFigures({ out, bytes, runs }: WrittenReport): ReportFigures {
  const each = runs.map((run): RunFigures => {
    const best = bestEpoch(run);
    return {
      folder: run.folder,
      state: run.state,
      stop_reason: run.summary?.stop_reason ?? null,
      precision: run.numerics.header?.precision ?? run.config?.precision ?? null,
      ...figuresOf(best),
      best_epoch: best?.epoch ?? null,
      epochs: run.metrics.rows.at(-1)?.epoch ?? 0,
      steps: run.numerics.lastStep,
      skipped_steps: run.numerics.skipped,
      progress: run.state === "running" ? run.numerics.progress : null,
      faults: run.faults,
    };
  });
  if (runs.length === 1) return { out, bytes, runs: each };
  // Programs look figures up by name: the names are the same with and without masks.
  const facts = [...resultFacts(runs, false), ...numericsFacts].map((fact) => ({
    name: fact.name,
    ...compared(fact, runs),
  }));
  return {
    out,
    bytes,
    runs: each,
    figures: facts.filter(({ values }) => values.some((value) => value !== null)),
    settings: Object.fromEntries(
      differingSettings(runs).map(({ name, values }) => [name, values.map((value) => value ?? null)]),
    ),
  };
}
