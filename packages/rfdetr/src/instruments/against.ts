// Measures this program and the Python package in turns, A B A B, each time in a fresh process.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { UsageError } from "../support/errors.js";
import { spinCount } from "../support/openmp.js";
import { spread } from "../support/statistics.js";

const run = promisify(execFile);

/** What is measured beside the Python package. */
export interface AgainstOptions {
  what: "train" | "infer";
  model: string;
  /** For training. */
  batch?: number;
  precisions: readonly ("32-true" | "bf16-mixed")[];
  /** Measured runs in each process, and runs before them that are not measured. */
  steps: number;
  warmup: number;
  /** Processes of each program for each precision. */
  rounds: number;
  /** An interpreter that has the package. */
  python: string;
  /** Called after each round with the seconds of both programs. */
  onRound?: (precision: string, seconds: { python: number; ours: number }) => void;
}

/** Medians over the rounds. */
interface Side {
  seconds: number;
  peak_rss_bytes: number;
  rounds: number[];
}

/** One precision, measured in both programs. */
export interface Comparison {
  precision: string;
  python: Side;
  ours: Side;
  /** Time of the package over ours: of the medians, and the smallest and largest of the rounds. */
  ratio: { median: number; min: number; max: number };
}

/** Measurements of both programs. */
export interface AgainstResult {
  what: "train" | "infer";
  model: string;
  batch: number;
  rounds: number;
  steps: number;
  /** What the seconds are of. */
  measured: "training step" | "predict, 640 × 480";
  rows: Comparison[];
  /**
   * The package in float32, the only precision that its `train()` has on a CPU, over this program in bfloat16; null
   * unless both were measured.
   */
  as_shipped: number | null;
}

/** What both programs print. */
interface Printed {
  seconds?: { step: { median: number } };
  milliseconds?: { predict: { median: number } };
  peak_rss_bytes: number;
}

const ourCommand = fileURLToPath(new URL("../../bin/rfdetr.mjs", import.meta.url));
const theirScript = fileURLToPath(new URL("../../python/python_package.py", import.meta.url));

/** @throws UsageError with the last line of the program that failed */
export async function benchAgainst(options: AgainstOptions): Promise<AgainstResult> {
  const { what, model, batch = 1, precisions, steps, warmup, rounds } = options;
  const common = ["--model", model, ...(what === "train" ? ["--batch", String(batch)] : [])];
  const counts = ["--steps", String(steps), "--warmup", String(warmup)];
  const measured = precisions.map((precision) => ({ precision, python: [] as Printed[], ours: [] as Printed[] }));
  for (let round = 0; round < rounds; round++)
    for (const { precision, python, ours } of measured) {
      const flags = [what, ...common, ...counts, "--precision", precision];
      python.push(await printed(options.python, [theirScript, ...flags], packageEnvironment()));
      ours.push(await printed(process.execPath, [ourCommand, "bench", ...flags, "--json"]));
      options.onRound?.(precision, { python: secondsOf(python[round]), ours: secondsOf(ours[round]) });
    }
  const rows = measured.map(({ precision, python, ours }) => compare(precision, python, ours));
  const [full, half] = ["32-true", "bf16-mixed"].map((name) => rows.find(({ precision }) => precision === name));
  return {
    what,
    model,
    batch,
    rounds,
    steps,
    measured: what === "train" ? "training step" : "predict, 640 × 480",
    rows,
    as_shipped: full === undefined || half === undefined ? null : full.python.seconds / half.ours.seconds,
  };
}

/** Medians and ratios of the rounds. @internal for tests */
export function compare(precision: string, python: readonly Printed[], ours: readonly Printed[]): Comparison {
  const side = (list: readonly Printed[]): Side => {
    const rounds = list.map(secondsOf);
    return {
      seconds: spread(rounds).median,
      peak_rss_bytes: spread(list.map((each) => each.peak_rss_bytes)).median,
      rounds,
    };
  };
  const [a, b] = [side(python), side(ours)];
  const ratios = a.rounds.map((seconds, i) => seconds / b.rounds[i]);
  return {
    precision,
    python: a,
    ours: b,
    ratio: { median: a.seconds / b.seconds, min: Math.min(...ratios), max: Math.max(...ratios) },
  };
}

function secondsOf({ seconds, milliseconds }: Printed): number {
  return seconds?.step.median ?? (milliseconds as NonNullable<typeof milliseconds>).predict.median / 1000;
}

/**
 * The environment of the package: as its users have it, without the waiting policy that this program sets for itself.
 */
function packageEnvironment(): NodeJS.ProcessEnv {
  const { GOMP_SPINCOUNT, ...others } = process.env;
  return GOMP_SPINCOUNT === undefined || GOMP_SPINCOUNT === spinCount ? others : { ...others, GOMP_SPINCOUNT };
}

/** The last line of a program's output, parsed. */
async function printed(program: string, args: string[], env: NodeJS.ProcessEnv = process.env): Promise<Printed> {
  try {
    const { stdout } = await run(program, args, { env, maxBuffer: 1 << 26 });
    return JSON.parse(stdout.trim().split("\n").at(-1) as string);
  } catch (error) {
    const { stderr = "", message } = error as { stderr?: string; message: string };
    const said = stderr.trim().split("\n").at(-1) || message;
    throw new UsageError(`${program} ${args.join(" ")} failed: ${said}`, { cause: error });
  }
}
