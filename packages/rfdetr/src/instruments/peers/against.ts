// Measures this program beside others, in turns, A B C A B C, each time in a fresh process.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { scratchFolder } from "../../support/files/scratch.js";
import { machineLine } from "../../support/machine/machine.js";
import { spread } from "../../support/statistics.js";
import { besideBusyProcess, measureProgram, type Peer, type Printed, type Work, writeOnnx } from "./programs.js";

/** What is measured beside other programs. */
export interface AgainstOptions {
  what: "train" | "infer";
  model: string;
  /** Images of a training step, or of a forward pass. */
  batch: number;
  /** The other programs. OpenVINO and onnxruntime only predict. */
  against: readonly Peer[];
  precisions: readonly ("32-true" | "bf16-mixed")[];
  /** Measured runs in each process, and runs before them that are not measured. */
  steps: number;
  warmup: number;
  /** Processes of each program for each precision. */
  rounds: number;
  /** Measures each program also beside another process that keeps one core busy. */
  busy?: boolean;
  /** Keeps every program that takes such a limit from instruction sets above this one. */
  isa?: "avx2";
  /** An interpreter that has the other programs. */
  python: string;
  /** Called after each process with its seconds; null where the precision does not run there. */
  onProcess?: (process: { program: "rfdetr" | Peer; precision: string; busy: boolean; seconds: number | null }) => void;
}

/** Times of one program. */
export interface ProgramTimes {
  program: "rfdetr" | Peer;
  /** Median over the rounds; null where the program has no such run. */
  seconds: number | null;
  rounds: number[];
  peak_rss_bytes: number | null;
  /** Its time over ours: of the medians, and the smallest and largest of the rounds. */
  ratio: { median: number; min: number; max: number } | null;
  /** Its time beside a busy process over its time without. */
  slowing: number | null;
  /** Why there is no time. */
  unavailable: string | null;
}

/** One precision of one quantity, this program first. */
export interface Comparison {
  precision: string;
  measured: "training step" | "forward" | "predict, 640 × 480";
  /** Whether another process kept one core busy. */
  busy: boolean;
  programs: ProgramTimes[];
}

/** Measurements of all programs. */
export interface AgainstResult {
  what: "train" | "infer";
  machine: string;
  date: string;
  isa: "avx2" | null;
  model: string;
  batch: number;
  rounds: number;
  steps: number;
  rows: Comparison[];
  /** Our time in float32 over our time in bfloat16; null unless both were measured. */
  own_speedup: number | null;
  /**
   * The package in float32, the only precision that its `train()` has on a CPU, over this program in bfloat16; null
   * unless both were measured.
   */
  as_shipped: number | null;
}

/** What each program printed in one condition: a precision, with or without a busy core. */
interface ConditionResults {
  precision: AgainstOptions["precisions"][number];
  busy: boolean;
  printed: Map<"rfdetr" | Peer, Printed[]>;
}

/** @throws UsageError with the last line of the program that failed */
export async function benchAgainst(options: AgainstOptions): Promise<AgainstResult> {
  const { what, model, batch, steps, rounds, isa } = options;
  const folder = scratchFolder("onnx");
  const onnx = join(folder, `${model}-${batch}.onnx`);
  try {
    if (options.against.some((peer) => peer !== "python")) await writeOnnx(options.python, model, batch, onnx);
    const measured = await measureRounds(options, onnx);
    const quantities = what === "train" ? (["training step"] as const) : (["forward", "predict, 640 × 480"] as const);
    const rows = quantities.flatMap((quantity) => compare(quantity, measured)).filter((row) => row.programs.length > 1);
    const ours = (precision: string) => rows.find((row) => row.precision === precision && !row.busy)?.programs;
    const of = (precision: string, program: string): number | null =>
      ours(precision)?.find((times) => times.program === program)?.seconds ?? null;
    const ratio = (a: number | null, b: number | null): number | null => (a === null || b === null ? null : a / b);
    return {
      what,
      machine: machineLine(),
      date: new Date().toISOString().slice(0, 10),
      isa: isa ?? null,
      model,
      batch,
      rounds,
      steps,
      rows,
      own_speedup: ratio(of("32-true", "rfdetr"), of("bf16-mixed", "rfdetr")),
      as_shipped: what === "train" ? ratio(of("32-true", "python"), of("bf16-mixed", "rfdetr")) : null,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureRounds(options: AgainstOptions, onnx: string): Promise<ConditionResults[]> {
  const { what, model, batch, against, precisions, steps, warmup, rounds, python, isa } = options;
  const programs = ["rfdetr", ...against] as const;
  const list: ConditionResults[] = precisions.flatMap((precision) =>
    (options.busy ? [false, true] : [false]).map((busy) => ({ precision, busy, printed: new Map() })),
  );
  for (let round = 0; round < rounds; round++)
    for (const { precision, busy, printed } of list)
      for (const program of programs) {
        const before = printed.get(program) ?? [];
        if (before.at(-1)?.unavailable !== undefined) continue;
        const work: Work = { what, model, batch, precision, steps, warmup };
        const measure = () => measureProgram(program, work, { python, onnx, isa });
        const result = await (busy ? besideBusyProcess(measure) : measure());
        printed.set(program, [...before, result]);
        options.onProcess?.({
          program,
          precision,
          busy,
          seconds: secondsOf(result, what === "train" ? "training step" : "forward"),
        });
      }
  return list;
}

/** Medians and ratios of the rounds. @internal for tests */
export function compare(measured: Comparison["measured"], list: readonly ConditionResults[]): Comparison[] {
  return list.map(({ precision, busy, printed }) => {
    const times = [...printed].map(([program, processes]) => timesOf(program, processes, measured));
    const [ours] = times;
    const idle = list.find((other) => other.precision === precision && !other.busy);
    for (const each of times) {
      if (each.seconds === null || ours.seconds === null) continue;
      const ratios = each.rounds.map((seconds, i) => seconds / ours.rounds[i]);
      if (each !== ours)
        each.ratio = { median: each.seconds / ours.seconds, min: Math.min(...ratios), max: Math.max(...ratios) };
      const before =
        busy && idle !== undefined ? timesOf(each.program, idle.printed.get(each.program) ?? [], measured) : null;
      if (before?.seconds) each.slowing = each.seconds / before.seconds;
    }
    return {
      precision,
      measured,
      busy,
      programs: times.filter(({ seconds, unavailable }) => seconds !== null || unavailable !== null),
    };
  });
}

function timesOf(
  program: ProgramTimes["program"],
  processes: readonly Printed[],
  measured: Comparison["measured"],
): ProgramTimes {
  const rounds = processes.map((each) => secondsOf(each, measured)).filter((seconds) => seconds !== null);
  const some = rounds.length > 0;
  return {
    program,
    seconds: some ? spread(rounds).median : null,
    rounds,
    peak_rss_bytes: some ? spread(processes.map((each) => each.peak_rss_bytes)).median : null,
    ratio: null,
    slowing: null,
    unavailable: processes.at(-1)?.unavailable ?? null,
  };
}

function secondsOf({ seconds, milliseconds }: Printed, measured: Comparison["measured"]): number | null {
  if (measured === "training step") return seconds?.step.median ?? null;
  const spread = measured === "forward" ? milliseconds?.forward : milliseconds?.predict;
  return spread === undefined ? null : spread.median / 1000;
}
