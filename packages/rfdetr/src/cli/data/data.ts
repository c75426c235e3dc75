// `rfdetr data`: synth, check, stats, split, convert.
import type { Command } from "commander";
import type { Finding } from "../../data/index.js";
import { counted, unbroken } from "../../support/format.js";
import type { Console } from "../console/console.js";
import { mendCommand, showTraining } from "../console/next-command.js";
import { consoleOf, exit, numeric, type OutputFlags, withOutputFlags } from "../context.js";
import { abortedBySignal } from "../model/interruption.js";
import { addDataConvert } from "./data-convert.js";
import { addDataSplit } from "./data-split.js";
import { addDataStats } from "./data-stats.js";

interface SynthFlags extends OutputFlags {
  images: number;
  size: number;
  classes: number;
  seed: number;
}

interface CheckFlags extends OutputFlags {
  fix?: string;
  fast?: boolean;
  masks?: boolean;
  autoOrient: boolean;
}

/** Registers `rfdetr data` with its subcommands. */
export function addData(program: Command, finish: (code: number) => void): void {
  const data = program.command("data").description("Make, check and describe datasets");
  withOutputFlags(
    data
      .command("synth")
      .description("Write a dataset of emoji on cluttered backgrounds")
      .argument("<dir>", "folder to create")
      .option("--images <n>", "number of training images; valid gets a sixth of it, test a thirtieth", numeric, 1500)
      .option("--size <px>", "side length of the images in pixels, 64 to 4096", numeric, 256)
      .option("--classes <n>", "number of classes, 1 to 24", numeric, 8)
      .option("--seed <n>", "seed of the images", numeric, 0),
  ).action(async (folder: string, flags: SynthFlags) => finish(await synth(folder, flags)));
  withOutputFlags(
    data
      .command("check")
      .description("List every fault of a dataset")
      .argument("<dir>", "dataset")
      .option("--fix <out>", "write a repaired copy to this folder")
      .option("--fast", "read the headers of the images only, and do not decode them")
      .option("--masks", "look at the outlines of the objects too, which segmentation needs")
      .option("--no-auto-orient", "leave images as they are stored, whatever their EXIF tag says"),
  ).action(async (folder: string, flags: CheckFlags) => finish(await check(folder, flags)));
  addDataStats(data, finish);
  addDataSplit(data, finish);
  addDataConvert(data, finish);
}

async function synth(folder: string, flags: SynthFlags): Promise<number> {
  const { synthesize } = await import("../../data/synth/synth.js");
  const console = consoleOf(flags);
  const { images, size, classes, seed } = flags;
  const onProgress = (done: number, total: number): void => console.live(`${done}/${total} images`);
  const counts = await abortedBySignal((signal) =>
    synthesize(folder, { images, size, classes, seed, onProgress, signal }),
  );
  console.end();
  if (console.json) console.data({ folder, images: counts });
  const tests = counted(counts.test, "test image");
  console.result(`${counts.train} training, ${counts.valid} validation and ${tests} in ${folder}`);
  showTraining(console, folder, "tiny");
  return exit.done;
}

async function check(folder: string, flags: CheckFlags): Promise<number> {
  const { groupFindings } = await import("../../data/check/findings.js");
  const { checkRepair, fixDataset } = await import("../../data/check/fix-dataset.js");
  const console = consoleOf(flags);
  const onProgress = (done: number, total: number): void => console.live(`${done}/${total} images`);
  const { autoOrient, masks = false } = flags;
  const options = { decode: flags.fast !== true, autoOrient, masks, onProgress };
  const { report, fixed, changes, whole, beyondRepair } =
    flags.fix === undefined
      ? { ...(await checkRepair(folder, options)), fixed: null, changes: [], whole: true }
      : { ...(await fixDataset(folder, flags.fix, options)), beyondRepair: null };
  console.end();
  if (console.json) console.data({ ...report, fixed, changes });
  printFindings(console, groupFindings(report.findings));
  if (report.findings.length > 0) console.result();
  const splits = Object.values(report.splits);
  const [images, annotations] = (["images", "annotations"] as const).map((name) =>
    splits.reduce((sum, each) => sum + each[name], 0),
  );
  const verdict =
    report.findings.length === 0 ? "no faults" : report.ok ? "can be trained on" : "cannot be trained on as it is";
  const counts = `${counted(images, "image")}, ${counted(annotations, "annotation")} (${report.layout})`;
  console.sentence(`${counts}: ${console.bold(verdict)}`);
  if (fixed !== null) {
    for (const change of changes) console.result(change);
    const counts = Object.entries(fixed).map(
      ([split, count]) =>
        `${split} ${counted(count.images, "image")} with ${counted(count.annotations, "box", "boxes")}`,
    );
    const passes = whole ? ", which passes the check" : "";
    console.result(`repaired copy in ${flags.fix}${passes}: ${counts.join(", ")}`);
    console.result("its images are links to the originals, or copies where there can be no links");
    if (whole) showNext(console, flags.fix ?? folder, masks);
    return whole ? exit.done : exit.failed;
  }
  if (report.ok) {
    showNext(console, folder, masks);
    return exit.done;
  }
  const refused = report.findings.filter(({ training }) => training === "refused").map((finding) => finding.check);
  const train = report.splits.train !== undefined;
  const mend = mendCommand(folder, { refused, train, repairable: beyondRepair === null, masks });
  if (mend !== null) console.sentence(`${unbroken(mend[0])} ${mend[1]}`);
  else if (beyondRepair !== null) console.sentence(beyondRepair);
  return exit.failed;
}

/** What data without faults is for. */
function showNext(console: Console, data: string, masks: boolean): void {
  showTraining(console, data, masks ? "seg-nano" : "nano");
}

/** How many findings of a check there are; of pictures with several files, each is one. @internal for tests */
export const findingCount = (check: string, count: number): string =>
  check === "repeated pictures" || check === "pictures in several splits"
    ? `${counted(count, "picture")} of several files`
    : counted(count, "finding");

const effects = { refused: "training refuses", repaired: "training corrects or leaves out", kept: "training goes on" };

/** Findings of each split and check, refused ones first, at most twenty of a kind and five of what training keeps. */
function printFindings(console: Console, groups: readonly Finding[][]): void {
  for (const effect of ["refused", "repaired", "kept"] as const)
    for (const group of groups) {
      const [{ split, check, training }] = group;
      if (training !== effect) continue;
      const most = effect === "kept" ? 5 : 20;
      const told = effect === "kept" ? console.dim : effect === "refused" ? console.red : console.yellow;
      console.sentence(
        `${console.bold(`${split}: ${check}, ${findingCount(check, group.length)}`)} (${told(effects[effect])})`,
      );
      for (const { message } of group.slice(0, most)) console.sentence(`  ${message}`, 4);
      if (group.length > most) console.result(`  and ${group.length - most} more (--json lists all)`);
    }
}
