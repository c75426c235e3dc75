// `rfdetr data stats`
import type { Command } from "commander";
import type { SplitStats } from "../../data/stats.js";
import { counted, grouped } from "../../support/format.js";
import type { Console } from "../console/console.js";
import { consoleOf, exit, type OutputFlags, withOutputFlags } from "../context.js";

interface StatsFlags extends OutputFlags {
  out?: string;
  masks?: boolean;
}

/** Registers `rfdetr data stats`. */
export function addDataStats(data: Command, finish: (code: number) => void): void {
  withOutputFlags(
    data
      .command("stats")
      .description("Count images, boxes, classes and sizes, and draw them")
      .argument("<dir>", "dataset: a folder, or the YAML file of a YOLO dataset")
      .option("--masks", "count the outlines of the objects too, which segmentation needs")
      .option("--out <dir>", "draw pictures into this folder, and pictures that are in several splits"),
  ).action(async (folder: string, flags: StatsFlags) => finish(await stats(folder, flags)));
}

async function stats(folder: string, flags: StatsFlags): Promise<number> {
  const { readSplits, statsOf } = await import("../../data/stats.js");
  const console = consoleOf(flags);
  const read = readSplits(folder, { masks: flags.masks === true });
  const result = statsOf(read);
  if (result.faults > 0)
    console.warning(
      `${counted(result.faults, "fault")} in the data: what is at fault is not counted here; rfdetr data check${flags.masks ? " --masks" : ""} names it`,
    );
  if (flags.out === undefined) {
    if (console.json) console.data(result);
    else for (const split of result.splits) printSplit(console, split);
    return exit.done;
  }
  const { writeDataPictures } = await import("../../pictures/data-pictures.js");
  const onProgress = (done: number, total: number): void =>
    console.live(`${grouped(done)}/${grouped(total)} images compared`);
  const { pictures, duplicates, warning } = await writeDataPictures(flags.out, read, { onProgress });
  console.end();
  if (console.json) {
    console.data({ ...result, out: flags.out, pictures, duplicates });
    return exit.done;
  }
  for (const split of result.splits) printSplit(console, split);
  if (warning !== null) console.warning(warning);
  if (duplicates.length > 0)
    console.warning(
      `${counted(duplicates.length, "picture")} in more than one split: a model is judged by what it has learned by heart; rfdetr data check names the files`,
    );
  console.result(
    `${counted(pictures.length, "picture")} in ${flags.out}: ${pictures.map(({ file }) => file).join(", ")}`,
  );
  return exit.done;
}

function printSplit(console: Console, stats: SplitStats): void {
  const { split, images, boxes, classes, sizes, boxesPerImage, imageSizes, otherImageSizes, outlines } = stats;
  console.result(console.bold(`${split}: ${counted(images, "image")}, ${counted(boxes, "box", "boxes")}`));
  console.result(
    `objects by annotated area, as in evaluation: ${sizes.small} small (up to 32² pixels), ${sizes.medium} medium (up to 96²), ${sizes.large} large`,
  );
  const { minimum, maximum, median, empty } = boxesPerImage;
  console.result(`boxes per image: ${minimum} to ${maximum}, median ${median}; ${counted(empty, "image")} without`);
  const more = otherImageSizes > 0 ? ` and ${counted(otherImageSizes, "other")}` : "";
  console.result(`image sizes: ${imageSizes.map(({ size, images: count }) => `${size} (${count})`).join(", ")}${more}`);
  if (outlines !== undefined)
    console.result(
      `outlines: ${counted(outlines.polygons, "object")} with polygons, ${outlines.masks} with masks, ${outlines.none} without`,
    );
  console.table(
    ["class", "boxes", "images"],
    classes.map(({ name, boxes: count, images: seen }) => [name, String(count), String(seen)]),
  );
  console.result();
}
