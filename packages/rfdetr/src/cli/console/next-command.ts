// Commands that go on where a run has ended: each can be pasted.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { TrainResult } from "../../run/train-run.js";
import { shellWord, shownPath } from "../../support/format.js";

/** The command that continues a run. */
export const resumeCommand = (dir: string): string => `npx rfdetr train --resume ${shellWord(shownPath(dir))}`;

/** The command that shows a run in the browser while it trains, and afterwards. */
export const watchCommand = (dir: string): string => `npx rfdetr dash ${shellWord(shownPath(dir))}`;

/** The command that shows the page of a detector. */
export const serveCommand = (dir: string): string => `npx rfdetr demo-page ${shellWord(shownPath(dir))} --serve`;

/** The command that ends a pause of a run. */
export const goOnCommand = (dir: string): string => `npx rfdetr control ${shellWord(shownPath(dir))} go-on`;

/** What to do after a run. @param data folder of its dataset; null where it is not known */
export function nextCommand({ summary, dir }: Pick<TrainResult, "summary" | "dir">, data: string | null): string {
  if (summary.stop_reason === "interrupted") return resumeCommand(dir);
  const images = validImages(data);
  return `npx rfdetr predict ${images === null ? "IMAGE" : shellWord(images)} --weights ${shellWord(shownPath(dir))}`;
}

/** The folder of validation images of a dataset in a common layout; null for another. */
function validImages(data: string | null): string | null {
  if (data === null) return null;
  const folders = ["valid/images", "val/images", "images/valid", "images/val", "valid", "val", "val2017"];
  const found = folders.map((name) => join(data, name)).find((path) => existsSync(path));
  return found === undefined ? null : shownPath(found);
}
