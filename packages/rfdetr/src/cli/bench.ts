// rfdetr bench
import type { Command } from "commander";
import type { Console } from "./console.js";
import { consoleOf, exit, numeric, type OutputOptions, oneOf, positiveInteger, precisions, withOutputOptions } from "./context.js";
import { bytes, table } from "./format.js";

interface Options extends OutputOptions {
  model: string;
  batch: number | string;
  precision: string[];
  device: string;
  steps: number | string;
  warmup: number | string;
  resolution?: number | string;
  checkpointing?: boolean;
}

const kinds = ["train", "infer", "ops"] as const;

export function addBench(program: Command, finish: (code: number) => void): void {
  withOutputOptions(
    program
      .command("bench")
      .description("measure training steps, inference, or single operators on this machine")
      .argument("<what>", "train, infer or ops")
      .option("--model <variant>", "variant", "nano")
      .option("--batch <n>", "images a step", numeric, 2)
      .option("--precision <p...>", "one or several of auto, 32-true, bf16-mixed, 16-mixed", ["auto"])
      .option("--device <d>", "auto, cpu or cuda:N", "auto")
      .option("--steps <n>", "measured runs", numeric, 10)
      .option("--warmup <n>", "runs before those", numeric, 3)
      .option("--checkpointing", "compute activations again in backward, for train")
      .option("--resolution <n>", "side length in pixels, for train", numeric),
  ).action(async (what: string, options: Options) => finish(await bench(what, options)));
}

async function bench(what: string, options: Options): Promise<number> {
  const kind = oneOf("what", what, kinds);
  const asked = options.precision.map((name) => oneOf("precision", name, precisions));
  const batch = positiveInteger("batch", options.batch);
  const steps = positiveInteger("steps", options.steps);
  const warmup = positiveInteger("warmup", options.warmup);
  const resolution = options.resolution === undefined ? undefined : positiveInteger("resolution", options.resolution);
  const console = consoleOf(options);
  const { resolvePrecision } = await import("@rfdetr/amp");
  const { resolveDevice } = await import("../run/device.js");
  const device = resolveDevice(options.device);
  const { machineLine } = await import("../run/machine.js");
  console.line(console.dim(machineLine()));
  if (kind === "ops") {
    const { benchOps } = await import("../run/bench-ops.js");
    const rows = benchOps(device, steps);
    if (console.json) console.data({ device, ops: rows });
    for (const line of table(
      ["operator", "type", "ms", "GFLOP/s"],
      rows.map(({ op, dtype, milliseconds, gflops }) => [
        op,
        dtype,
        milliseconds.median.toFixed(2),
        gflops === null ? "" : gflops.toFixed(0),
      ]),
    ))
      console.line(line);
    return exit.done;
  }
  for (const name of asked) {
    const { precision } = resolvePrecision(name, device);
    if (kind === "train")
      await train(console, {
        model: options.model,
        batch,
        precision,
        device,
        steps,
        warmup,
        resolution,
        checkpointing: options.checkpointing,
      });
    else await infer(console, { model: options.model, precision, device, iterations: steps, warmup });
  }
  return exit.done;
}

async function train(console: Console, options: Parameters<typeof import("../train/bench.js").benchTrain>[0]): Promise<void> {
  const { benchTrain } = await import("../train/bench.js");
  const result = benchTrain(options);
  if (console.json) console.data(result);
  const { seconds } = result;
  console.line(
    `${console.bold(`${result.model} training, ${result.precision}`)}: batch ${result.batch} at ${result.resolution} px on ${result.device}`,
  );
  const parts = ["step", "forward", "loss", "backward", "optimizer"] as const;
  for (const line of table(
    ["", ...parts],
    (["median", "min"] as const).map((kind) => [`${kind} ms`, ...parts.map((part) => (seconds[part][kind] * 1000).toFixed(1))]),
  ))
    console.line(line);
  console.line(
    `${(result.flops_per_step / seconds.step.median / 1e9).toFixed(0)} of ${(result.peak_flops / 1e9).toFixed(0)} GFLOP/s (${(100 * result.mfu).toFixed(0)} %), peak tensors ${bytes(result.peak_tensor_bytes)}, peak memory ${bytes(result.peak_rss_bytes)}`,
  );
}

async function infer(console: Console, options: Parameters<typeof import("../predict/bench.js").benchInfer>[0]): Promise<void> {
  const { benchInfer } = await import("../predict/bench.js");
  const result = benchInfer(options);
  if (console.json) console.data(result);
  const { forward, predict } = result.milliseconds;
  console.line(
    `${console.bold(`${result.model} inference, ${result.precision}`)}: forward ${forward.median.toFixed(1)} ms (min ${forward.min.toFixed(1)}), predict ${predict.median.toFixed(1)} ms (min ${predict.min.toFixed(1)}), peak memory ${bytes(result.peak_rss_bytes)}`,
  );
}
