// rfdetr convert
import { extname } from "node:path";
import type { Command } from "commander";
import { consoleOf, exit, type OutputOptions, withOutputOptions } from "./context.js";

export function addConvert(program: Command, finish: (code: number) => void): void {
  withOutputOptions(
    program
      .command("convert")
      .description("turn a checkpoint of the Python package into weights for this program (no code in it is run)")
      .argument("<in>", ".pth, .pt, .ckpt or .safetensors")
      .argument("<out>", ".safetensors file to write"),
  ).action(async (from: string, to: string, options: OutputOptions) => finish(await convert(from, to, options)));
}

async function convert(from: string, to: string, options: OutputOptions): Promise<number> {
  const { readWeights, saveWeights } = await import("../run/weights.js");
  const { RfdetrError } = await import("../run/errors.js");
  const console = consoleOf(options);
  if (extname(to) !== ".safetensors") throw new RfdetrError("ERR_USAGE", `Expected a .safetensors file to write but received ${to}`);
  const { tensors, classNames, config, extra } = readWeights(from);
  saveWeights(to, tensors, { classNames, config, extra });
  if (console.json)
    console.data({ file: to, variant: config.variant, resolution: config.resolution, classes: classNames, tensors: tensors.size });
  console.line(`${config.variant}, ${config.resolution} px, ${config.numClasses} classes, ${tensors.size} tensors written to ${to}`);
  for (const tensor of tensors.values()) tensor.dispose();
  return exit.done;
}
