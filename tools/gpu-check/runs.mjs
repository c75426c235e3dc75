// @ts-check
// Runs of the command: the automatic batch, and a run that is ended and resumed beside one that was not.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inFolder, rfdetr, synthesise, trainTiny } from "./command.mjs";

export async function automaticBatch(report, { device }) {
  if (device === "meta") return report.leave("it measures");
  await report.step("a run with the largest batch that fits");
  await inFolder(async (folder) => {
    await synthesise(folder);
    const flags = ["--device", device, "--batch", "auto", "--epochs", "1", "--out", "run"];
    await rfdetr(folder, ...trainTiny, ...flags, "--set", "monitor_interval=1");
    const { settings } = JSON.parse(readFileSync(join(folder, "run", "config.json"), "utf8"));
    report.figure("batch of the tiny model", settings.batch_size, "images");
    report.holds("a run with this batch ends, every step watched", true);
  });
}

export async function resume(report, { device, quick }) {
  if (device === "meta") return report.leave("it compares values");
  if (quick) return report.leave("it trains four runs, which the quick form does not");
  await inFolder(async (folder) => {
    await synthesise(folder);
    const flags = ["--device", device, "--batch", "4"];
    for (const name of ["whole", "again"]) {
      await report.step(`two epochs: ${name}`);
      await rfdetr(folder, ...trainTiny, ...flags, "--epochs", "2", "--out", name);
    }
    await report.step("one epoch, then another");
    await rfdetr(folder, ...trainTiny, ...flags, "--epochs", "1", "--out", "parted");
    await rfdetr(folder, "train", "--resume", "parted", "--epochs", "2", "--plain");
    report.holds("a run resumes", true);
    const hash = (name) =>
      createHash("sha256")
        .update(readFileSync(join(folder, name, "weights", "last.safetensors")))
        .digest("hex");
    if (hash("whole") !== hash("again"))
      return report.leave("bits of resumed runs: two equal runs differ already, because a GPU sums in varying order");
    report.holds("a resumed run has the weights of a whole one, to the bit", hash("parted") === hash("whole"));
  });
}
