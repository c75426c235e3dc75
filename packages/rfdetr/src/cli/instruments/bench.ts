// `rfdetr bench`: a kind of measurement each.

import type { Command } from "commander";
import { memoryUses } from "../../model/types.js";
import { withValues } from "../completion/values.js";
import {
  exit,
  flagValues,
  modelHelp,
  numeric,
  type OutputFlags,
  oneOf,
  precisions,
  withOutputFlags,
} from "../context.js";
import { isas, peersOf, usualRounds } from "./bench-against.js";
import { evaluate, type Given, infer, load, ops, optimizerStates, train } from "./bench-kinds.js";

const kinds = ["train", "infer", "ops", "eval", "load"] as const;

const precisionHelp = `one or several of ${precisions.join(", ")}; with --json, an object a line for each`;

/** Registers `rfdetr bench` with a subcommand for each kind of measurement. */
export function addBench(program: Command, finish: (code: number) => void): void {
  const bench = program
    .command("bench")
    .description("Measure training, inference, operators, COCO metrics or data loading on this machine")
    .argument("<what>", kinds.join(", "))
    .action((what: string) => void oneOf("what", what, kinds));
  const verb = <F extends OutputFlags>(
    name: (typeof kinds)[number],
    about: string,
    run: (flags: F) => Promise<void>,
  ): Command =>
    withOutputFlags(bench.command(name).description(about)).action(async (flags: F) => {
      await run(flags);
      finish(exit.done);
    });
  const onMachine = (command: Command): Command =>
    withValues(command.option("--device <d>", "auto, cpu or cuda:N", "auto"), flagValues.device).option(
      "--steps <n>",
      "number of measured runs",
      numeric,
      10,
    );
  const withModel = (command: Command): Command => {
    command.option("--model <variant>", modelHelp, "nano");
    command.option("--precision <p...>", precisionHelp, ["auto"]);
    return withValues(command, { ...flagValues.model, ...flagValues.precision });
  };

  const comparable = (command: Command): Command =>
    command
      .option("--python <path>", "Python that has the other programs (default: an environment that is made once)")
      .option(
        "--rounds <n>",
        `processes of each program and precision, in turns (default: ${usualRounds}; 1 for a single precision)`,
        numeric,
      )
      .option("--busy", "measure also beside a process that keeps one core busy")
      .option("--isa <name>", "avx2: keep all programs from wider vector instructions");
  const training = comparable(onMachine(withModel(verb("train", "Training steps on random images", train))))
    .option("--against <what...>", "python: measure the Python package too, in turns")
    .option("--warmup <n>", "warm-up runs before the measured ones", numeric, 3)
    .option("--batch <n>", "images per step", numeric, 2)
    .option("--resolution <n>", "side length in pixels (default: that of the model)", numeric)
    .option("--queries <n>", "queries per group (default: those of the model)", numeric)
    .option("--boxes <n>", "boxes per image (default: 8)", numeric)
    .option("--checkpointing", "recompute activations in backward")
    .option("--memory <use>", "what backward recomputes: default, lean or leanest", "default")
    .option("--optimizer-state <type>", "how the moments are kept: float32 or 8bit", "float32");
  withValues(training, {
    "--against": peersOf.train,
    "--memory": memoryUses,
    "--optimizer-state": optimizerStates,
    "--isa": isas,
  });
  const pass = verb("infer", "The forward pass, and prediction from pixels to detections", infer);
  const inference = comparable(onMachine(withModel(pass)))
    .option("--against <what...>", "one or several of python, openvino, onnxruntime: measure them too, in turns")
    .option("--warmup <n>", "warm-up runs before the measured ones", numeric, 3)
    .option("--batch <n>", "images per forward pass", numeric, 1);
  withValues(inference, { "--against": peersOf.infer, "--isa": isas });
  onMachine(verb("ops", "Single operators in float32 and bfloat16", ops));
  verb("eval", "COCO metrics of synthetic detections: reading the files and computing the figures", evaluate)
    .option("--images <n>", "number of images", numeric, 5000)
    .option("--detections <n>", "detections per image", numeric, 100)
    .option("--classes <n>", "number of classes", numeric, 80)
    .option("--truths <n>", "objects per image, on average", numeric, 7);
  onMachine(withModel(verb("load", "Data loading: images per second, and how long training steps wait for them", load)))
    .option("--batch <n>", "images per step", numeric, 2)
    .option("--data <dir>", "dataset (default: JPEGs that are written to a temporary folder)")
    .option("--size <WxH>", "size of those JPEGs in pixels", "4000x3000")
    .option("--images <n>", "images to read with each number of loader threads", numeric, 32)
    .option(
      "--workers <n...>",
      "numbers of loader threads to compare; training uses the first",
      numericList,
      [2, 0, 1],
    );
}

function numericList(text: string, before: Given[] & { given?: true }): Given[] {
  return Object.assign([...(before.given ? before : []), numeric(text)], { given: true as const });
}
