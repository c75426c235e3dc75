// Whether a launcher that starts processes anew continues the run that it began.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { RunDirectoryError, UsageError } from "../../support/errors.js";
import { replaceText } from "../../support/files/atomic.js";
import { readJson } from "../../support/files/json.js";
import { shellWord } from "../../support/format.js";

/** The file in the folder of a run that says which launch began it or continued it last. */
const fileName = "launch.json";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What tells a launch by torchrun or SLURM from every other: the same for all its restarts. Null for other launchers.
 * @internal for tests
 */
export function launchOf(env: Environment): string | null {
  const { TORCHELASTIC_RUN_ID: run, TORCHELASTIC_ERROR_FILE: file, SLURM_JOB_ID: job } = env;
  // …/RUN_RANDOM/attempt_N/RANK/error.json: the random folder is made once for each torchrun.
  if (run !== undefined) return `torchrun ${run} ${file === undefined ? "" : dirname(dirname(dirname(file)))}`.trim();
  return job === undefined ? null : `SLURM job ${job}`;
}

/** Whether the launcher starts the processes anew when one of them fails. */
export const mayRestart = (env: Environment): boolean => Number(env.TORCHELASTIC_MAX_RESTARTS ?? 0) > 0;

/** Leaves in the folder of a run which launch trains it. */
export function recordLaunch(folder: string, env: Environment): void {
  const launch = launchOf(env);
  if (launch !== null) replaceText(join(folder, fileName), `${JSON.stringify({ launch })}\n`);
}

/**
 * The folder that a process continues which its launcher has started anew; null where the run had not begun.
 * @param out the folder that the run was to have
 * @param restarts how often the launcher has started the processes anew
 * @throws UsageError without a folder; RunDirectoryError for the run of another launch
 */
export function continued(out: string | null, restarts: number, env: Environment): string | null {
  if (restarts === 0) return null;
  if (out === null)
    throw new UsageError(
      "The launcher has started the processes anew, and nothing says which run they are to continue",
      {
        hint: "Name a folder with `output_dir`: a restart continues the run in it",
      },
    );
  if (!existsSync(join(out, "config.json"))) return null;
  const file = join(out, fileName);
  const found = existsSync(file) ? readJson(file, (message) => new RunDirectoryError(message)) : null;
  if ((found as { launch?: unknown } | null)?.launch === launchOf(env)) return out;
  throw new RunDirectoryError(
    `The run in ${out} was not begun by this launch, so that a restart does not continue it`,
    {
      hint: `Continue it with \`resume\` ${shellWord(out)}, or choose another folder with \`output_dir\``,
    },
  );
}
