// `rfdetr data split`

import type { Command } from "commander";
import { counted, grouped } from "../../support/format.js";
import { withValues } from "../completion/values.js";
import { showTraining } from "../console/next-command.js";
import { consoleOf, exit, numeric, type OutputFlags, oneOf, share, wholeNumber, withOutputFlags } from "../context.js";

interface SplitFlags extends OutputFlags {
  valid?: number;
  test?: number;
  by: string;
  seed: number;
}

/** Values of `--by`. */
const ways = ["class", "group"] as const;

/** Registers `rfdetr data split`. */
export function addDataSplit(data: Command, finish: (code: number) => void): void {
  const command = withOutputFlags(
    data
      .command("split")
      .description("Write a copy whose train split, or whose pictures without splits, gives a share to valid and test")
      .argument("<in>", "dataset: a folder, or the YAML file of a YOLO dataset")
      .argument("<out>", "folder to create; images are linked")
      .option(
        "--valid <share>",
        "share of the pictures for validation (default: 0.2; 0 if there is a valid split)",
        numeric,
      )
      .option("--test <share>", "share of the pictures for the test split (default: 0)", numeric)
      .option(
        "--by <what>",
        "class: every split gets its share of each class; group: pictures of one sub-folder stay together too",
        "class",
      )
      .option("--seed <n>", "seed of the choice", numeric, 0),
  );
  withValues(command, { "--by": ways }).action(async (from: string, to: string, flags: SplitFlags) =>
    finish(await split(from, to, flags)),
  );
}

async function split(from: string, to: string, flags: SplitFlags): Promise<number> {
  const { splitDataset } = await import("../../data/split/split-dataset.js");
  const console = consoleOf(flags);
  const report = await splitDataset(from, to, {
    valid: flags.valid === undefined ? undefined : share("--valid", flags.valid),
    test: flags.test === undefined ? undefined : share("--test", flags.test),
    by: oneOf("--by", flags.by, ways),
    seed: wholeNumber("--seed", flags.seed),
    onProgress: (done, total) => console.live(`${grouped(done)}/${grouped(total)} images compared`),
  });
  console.end();
  if (console.json) console.data({ out: to, ...report });
  for (const remark of report.remarks) console.fact(remark);
  for (const [name, { images, annotations }] of Object.entries(report.splits))
    console.result(`${name}: ${counted(images, "image")} with ${counted(annotations, "annotation")}`);
  const together = report.groups === 0 ? "" : `; ${counted(report.groups, "group")} of pictures that stay together`;
  console.result(`written to ${to}${together}`);
  showTraining(console, to, "nano");
  return exit.done;
}
