// `rfdetr bench train|infer --against …`: other programs beside this one.
import type { AgainstResult, Comparison, ProgramTimes } from "../../instruments/peers/against.js";
import type { Peer } from "../../instruments/peers/programs.js";
import { expected, UsageError } from "../../support/errors.js";
import type { Console } from "../console/console.js";
import { consoleOf, type OutputFlags, oneOf, positiveInteger, showMachine } from "../context.js";

/** Flags of a comparison with other programs. */
export interface AgainstFlags extends OutputFlags {
  against?: string[];
  python?: string;
  /** Processes of each program, or of each precision. */
  rounds?: number | string;
  busy?: boolean;
  isa?: string;
}

interface MeasurementFlags extends AgainstFlags {
  model: string;
  precision: string[];
  device: string;
  steps: number | string;
  warmup: number | string;
}

const precisions = ["32-true", "bf16-mixed"] as const;
/** Processes of each program, or of each of several precisions, unless `--rounds` says so. */
export const usualRounds = 2;
/** Values of `--isa`. */
export const isas = ["avx2"] as const;
/** Programs to compare with: only the package trains. */
export const peersOf: Record<"train" | "infer", readonly Peer[]> = {
  train: ["python"],
  infer: ["python", "openvino", "onnxruntime"],
};
const names = { rfdetr: "this program", python: "Python", openvino: "OpenVINO", onnxruntime: "onnxruntime" } as const;

/** @throws UsageError for a flag that concerns other programs where none is measured */
export function refuseWithoutAgainst(flags: AgainstFlags): void {
  for (const name of ["python", "busy", "isa"] as const)
    if (flags[name] !== undefined) throw new UsageError(`Expected --against beside --${name} but received none`);
}

/**
 * Measures the programs in turns.
 * @param shape the batch, and flags that the other programs do not have, which must not be given
 * @throws UsageError for a flag that cannot be compared
 */
export async function against(
  what: "train" | "infer",
  flags: MeasurementFlags,
  { batch, ...shape }: { batch: number; [name: string]: unknown },
): Promise<void> {
  const programs = [...new Set((flags.against ?? []).map((name) => oneOf("against", name, peersOf[what])))];
  const { comparedModels } = await import("../../instruments/peers/programs.js");
  const model = oneOf("model", flags.model, comparedModels);
  const asked =
    flags.precision.join() === "auto"
      ? precisions
      : flags.precision.map((name) => oneOf("precision", name, precisions));
  for (const [name, value] of Object.entries({
    ...shape,
    device: flags.device === "auto" || flags.device === "cpu" ? undefined : flags.device,
  }))
    if (value !== undefined) throw new UsageError(expected("nothing", `${name} beside --against`, value));
  const [steps, warmup] = (["steps", "warmup"] as const).map((name) => positiveInteger(name, flags[name]));
  const rounds = positiveInteger("rounds", flags.rounds ?? usualRounds);
  const isa = flags.isa === undefined ? undefined : oneOf("isa", flags.isa, isas);
  const console = consoleOf(flags);
  const { pythonWithPackage } = await import("../../instruments/peers/python-package.js");
  const python = await pythonWithPackage({ python: flags.python, programs, say: (text) => console.progress(text) });
  await showMachine(console);
  const { benchAgainst } = await import("../../instruments/peers/against.js");
  const result = await benchAgainst({
    what,
    model,
    batch,
    against: programs,
    precisions: asked,
    steps,
    warmup,
    rounds,
    busy: flags.busy,
    isa,
    python,
    onProcess: ({ program, precision, busy, seconds }) =>
      console.progress(
        `${precision}${busy ? ", one core busy" : ""}: ${names[program]} ${seconds === null ? "–" : shown(seconds)}`,
      ),
  });
  if (console.json) console.data(result);
  show(console, result);
}

/** In the unit of this program alone. */
const shown = (seconds: number): string => `${(seconds * 1000).toFixed(1)} ms`;

function show(console: Console, result: AgainstResult): void {
  const { model, batch, rounds, steps, isa } = result;
  const limit = isa === null ? "" : `, ${isa.toUpperCase()} at most`;
  console.sentence(console.bold(`${model}, batch ${batch}${limit}: medians of ${rounds} rounds of ${steps}`));
  console.table(
    ["measured", "precision", "busy", "program", "time", "of ours", "rounds", "slowing", "peak RSS, MiB"],
    result.rows.flatMap((row) => row.programs.map((times) => cells(row, times))),
    ["busy", "rounds", "slowing", "peak RSS, MiB"],
  );
  if (result.own_speedup !== null)
    console.sentence(`this program: bf16-mixed is ${result.own_speedup.toFixed(2)} times as fast as 32-true`);
  if (result.as_shipped !== null)
    console.sentence(
      `the package in float32, as it comes, against this program in bf16-mixed: ${result.as_shipped.toFixed(2)}×`,
    );
}

/** What the table says of a program. @internal for tests */
export function cells(row: Comparison, times: ProgramTimes): string[] {
  const { seconds, ratio, slowing, peak_rss_bytes: peak } = times;
  return [
    row.measured,
    row.precision,
    row.busy ? "yes" : "",
    names[times.program],
    seconds === null ? `– (${times.unavailable})` : shown(seconds),
    ratio === null ? "" : `${ratio.median.toFixed(2)}×`,
    ratio === null ? "" : `${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}`,
    slowing === null ? "" : `${slowing.toFixed(2)}×`,
    peak === null ? "" : (peak / 2 ** 20).toFixed(0),
  ];
}
