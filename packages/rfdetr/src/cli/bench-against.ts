// `rfdetr bench train|infer --against python`: the Python package beside this program.
import { expected, UsageError } from "../support/errors.js";
import { consoleOf, type OutputFlags, oneOf, positiveInteger, showMachine } from "./context.js";

/** Flags of a comparison with the Python package. */
export interface AgainstFlags extends OutputFlags {
  against?: string;
  python?: string;
  rounds: number | string;
}

interface Measured extends AgainstFlags {
  model: string;
  precision: string[];
  device: string;
  steps: number | string;
  warmup: number | string;
}

const precisions = ["32-true", "bf16-mixed"] as const;

/**
 * Measures both programs in turns.
 * @param shape the batch, and flags that the Python side does not have, which must not be given
 * @throws UsageError for a flag that cannot be compared
 */
export async function against(
  what: "train" | "infer",
  flags: Measured,
  { batch, ...shape }: { batch?: number; [name: string]: unknown },
): Promise<void> {
  oneOf("against", flags.against, ["python"]);
  const model = oneOf("model", flags.model, ["nano", "small", "medium", "large"]);
  const asked =
    flags.precision.join() === "auto"
      ? precisions
      : flags.precision.map((name) => oneOf("precision", name, precisions));
  for (const [name, value] of Object.entries({
    ...shape,
    device: flags.device === "auto" || flags.device === "cpu" ? undefined : flags.device,
  }))
    if (value !== undefined) throw new UsageError(expected("nothing", `${name} beside --against`, value));
  const [steps, warmup, rounds] = (["steps", "warmup", "rounds"] as const).map((name) =>
    positiveInteger(name, flags[name]),
  );
  const console = consoleOf(flags);
  const { pythonWithPackage } = await import("../instruments/python-package.js");
  const python = await pythonWithPackage({ python: flags.python, say: (text) => console.progress(text) });
  await showMachine(console);
  const { benchAgainst } = await import("../instruments/against.js");
  const result = await benchAgainst({
    what,
    model,
    batch,
    precisions: asked,
    steps,
    warmup,
    rounds,
    python,
    onRound: (precision, seconds) =>
      console.progress(
        `${precision}: the package ${seconds.python.toFixed(3)} s, this program ${seconds.ours.toFixed(3)} s`,
      ),
  });
  if (console.json) console.data(result);
  const mebibytes = (count: number) => (count / 2 ** 20).toFixed(0);
  console.result(
    console.bold(
      `${model}${what === "train" ? `, batch ${batch}` : ""}: ${result.measured}, medians of ${rounds} rounds of ${steps}`,
    ),
  );
  console.table(
    ["precision", "Python, s", "this program, s", "ratio", "rounds", "peak RSS Python, MiB", "ours, MiB"],
    result.rows.map(({ precision, python: theirs, ours, ratio }) => [
      precision,
      theirs.seconds.toFixed(3),
      ours.seconds.toFixed(3),
      `${ratio.median.toFixed(2)}×`,
      `${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}`,
      mebibytes(theirs.peak_rss_bytes),
      mebibytes(ours.peak_rss_bytes),
    ]),
    ["rounds", "peak RSS Python, MiB", "ours, MiB"],
  );
  if (result.as_shipped !== null)
    console.result(
      `the package in float32, as it comes, against this program in bf16-mixed: ${result.as_shipped.toFixed(2)}×`,
    );
}
