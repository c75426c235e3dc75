// rfdetr doctor
import type { Command } from "commander";
import { machineLine } from "../run/machine.js";
import { consoleOf, exit, numeric, type OutputOptions, positiveInteger, withOutputOptions } from "./context.js";
import { bytes, table } from "./format.js";

interface Options extends OutputOptions {
  device: string;
  model?: string;
  data?: string;
  batch?: number | string;
}

export function addDoctor(program: Command, finish: (code: number) => void): void {
  withOutputOptions(
    program
      .command("doctor")
      .description(
        "show engine, hardware and the precision that fits them; with a model or data, measure every precision on a training step",
      )
      .option("--model <variant>", "variant to measure with")
      .option("--data <dir>", "dataset to take a batch from")
      .option("--batch <n>", "images of the measured step", numeric)
      .option("--device <d>", "auto, cpu or cuda:N", "auto"),
  ).action(async (options: Options) => finish(await doctor(options)));
}

async function doctor(options: Options): Promise<number> {
  const console = consoleOf(options);
  const batch = positiveInteger("batch", options.batch ?? 2);
  const { engine, getNumThreads } = await import("@rfdetr/torch");
  const { resolvePrecision } = await import("@rfdetr/amp");
  const { resolveDevice } = await import("../run/device.js");
  const device = resolveDevice(options.device);
  const { version, capability, cuda } = engine();
  const byTable = resolvePrecision("auto", device);
  const measured = options.model !== undefined || options.data !== undefined || options.batch !== undefined;
  const hardware = machineLine();
  console.line(`engine     libtorch ${version}, ${capability}${cuda ? ", CUDA" : ""}, ${getNumThreads()} threads; Node ${process.version}`);
  console.line(`hardware   ${hardware}`);
  console.line(`precision  ${console.bold(byTable.precision)}: ${byTable.reason}`);
  const { calibrateVariant } = await import("../train/calibration.js");
  const model = options.model ?? "nano";
  const calibration = measured
    ? await calibrateVariant({ model, batch, device, data: options.data, progress: (what) => console.live(`measuring ${what}`) })
    : null;
  console.end();
  const recommended = calibration?.recommended ?? { precision: byTable.precision, reason: byTable.reason };
  if (console.json)
    console.data({
      engine: { libtorch: version, capability, cuda, threads: getNumThreads(), node: process.version },
      hardware,
      recommended,
      precisions: calibration?.precisions ?? [],
      evaluation: [],
    });
  if (calibration === null) return exit.done;
  console.line();
  console.line(`One training step of ${model} on ${batch} images, errors against float64:`);
  const number = (value: number, digits: number) => value.toPrecision(digits);
  const rows = calibration.precisions.map((row) => [
    row.precision,
    (row.step_seconds * 1000).toFixed(0),
    row.speedup.toFixed(2),
    bytes(row.peak_tensor_bytes),
    row.memory_ratio.toFixed(2),
    number(row.loss_error, 2),
    row.gradient_cosine.toFixed(5),
    `${(100 * row.underflow_share).toFixed(3)} %`,
    row.nonfinite ? "not finite" : "",
  ]);
  for (const line of table(
    ["precision", "step ms", "speed-up", "tensors", "ratio", "loss error", "gradient cosine", "underflow", ""],
    rows,
  ))
    console.line(line);
  console.line();
  console.line(`recommended ${console.bold(recommended.precision)}: ${recommended.reason}`);
  return exit.done;
}
