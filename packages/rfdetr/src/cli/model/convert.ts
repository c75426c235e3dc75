// `rfdetr convert`

import { existsSync, statSync } from "node:fs";
import { extname } from "node:path";
import type { Command } from "commander";
import { UsageError } from "../../support/errors.js";
import { createFile } from "../../support/files/atomic.js";
import { shapeInWords } from "../../support/shape.js";
import {
  consoleOf,
  exit,
  type OutputFlags,
  reading,
  type WeightsFlags,
  weightsPath,
  withOutputFlags,
  withWeightsFlags,
} from "../context.js";

/** Registers `rfdetr convert`. */
export function addConvert(program: Command, finish: (code: number) => void): void {
  const command = withOutputFlags(
    program
      .command("convert")
      .description(
        "Convert weights of the Python package to .safetensors, or back to a checkpoint that the package loads; never runs code from a file",
      )
      .argument(
        "<in>",
        "a .pth, .pt, .ckpt or .safetensors file, the name of published weights, or a run folder (its best weights)",
      )
      .argument("<out>", ".safetensors, or .pth for the Python package"),
  );
  withWeightsFlags(command).action(async (from: string, to: string, flags: OutputFlags & WeightsFlags) =>
    finish(await convert(from, to, flags)),
  );
}

async function convert(from: string, to: string, flags: OutputFlags & WeightsFlags): Promise<number> {
  const { checkComplete, readWeights, saveWeights } = await import("../../weights/weights.js");
  const { some } = await import("../../weights/fit-weights.js");
  const { packageHas, savePythonCheckpoint, squareOf } = await import("../../weights/python/python-export.js");
  const console = consoleOf(flags);
  const kind = extname(to).toLowerCase();
  if (kind !== ".safetensors" && kind !== ".pth")
    throw new UsageError(`Expected a .safetensors or .pth file to write but received ${to}`);
  if (existsSync(to) && statSync(to).isFile())
    throw new UsageError(`Expected a new file to write but ${to} exists: choose another name, or remove it`);
  const source = await weightsPath(console, from);
  const weights = readWeights(source, reading(console, flags));
  const { tensors, classNames, config, trained, extra, leftOver } = weights;
  checkComplete(source, weights);
  const save = kind === ".pth" ? savePythonCheckpoint : saveWeights;
  // Another conversion may have been quicker.
  save(to, tensors, { classNames, config, trained, extra }, createFile);
  if (console.json)
    console.data({
      file: to,
      variant: config.variant,
      resolution: config.resolution,
      classes: classNames,
      tensors: tensors.size,
    });
  console.result(
    `${config.variant}, ${shapeInWords(config.resolution)} px, ${config.numClasses} classes, ${tensors.size} tensors written to ${to}`,
  );
  if (kind === ".pth" && !packageHas(config.variant))
    console.fact(`The Python package has no variant ${config.variant}, so it cannot load this file; rfdetr can`);
  if (kind === ".pth" && typeof config.resolution !== "number")
    console.fact(
      `The package trains squares only, so the file says ${squareOf(config)} px: predict there with shape=(${config.resolution.join(", ")})`,
    );
  // Reading our own files tells it.
  if (leftOver.length > 0 && extname(source) !== ".safetensors")
    console.fact(`left out, since the model does not use them: ${some(leftOver)}`);
  for (const tensor of tensors.values()) tensor.dispose();
  return exit.done;
}
