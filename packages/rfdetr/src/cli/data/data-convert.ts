// `rfdetr data convert`

import type { Command } from "commander";
import { counted } from "../../support/format.js";
import { withValues } from "../completion/values.js";
import { consoleOf, exit, type OutputFlags, oneOf, withOutputFlags } from "../context.js";

interface ConvertFlags extends OutputFlags {
  to: string;
}

/** Values of `--to`. */
const formats = ["coco", "yolo"] as const;

/** Registers `rfdetr data convert`. */
export function addDataConvert(data: Command, finish: (code: number) => void): void {
  const command = withOutputFlags(
    data
      .command("convert")
      .description("Write a copy of a dataset in COCO or YOLO format, and name what the format has no place for")
      .argument("<in>", "dataset: a folder, or the YAML file of a YOLO dataset")
      .argument("<out>", "folder to create; images are linked")
      .requiredOption("--to <format>", "coco or yolo"),
  );
  withValues(command, { "--to": formats }).action(async (from: string, to: string, flags: ConvertFlags) =>
    finish(await convert(from, to, flags)),
  );
}

async function convert(from: string, to: string, flags: ConvertFlags): Promise<number> {
  const { convertDataset } = await import("../../data/convert/convert-dataset.js");
  const console = consoleOf(flags);
  const report = convertDataset(from, to, oneOf("--to", flags.to, formats));
  if (console.json) console.data({ out: to, ...report });
  for (const remark of report.remarks) console.fact(remark);
  for (const loss of report.losses) console.warning(loss);
  for (const [name, { images, annotations }] of Object.entries(report.splits))
    console.result(`${name}: ${counted(images, "image")} with ${counted(annotations, "annotation")}`);
  console.result(`${report.from} written as ${flags.to} to ${to}`);
  return exit.done;
}
