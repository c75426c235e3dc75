// Lets the recorders of a run draw their pictures.
import type { Recorder } from "./recorder.js";

/**
 * Lets recorders draw what was recorded, and tells all of them what was drawn. It is no part of training.
 * @returns whether anything was drawn
 */
export async function drawPictures(recorders: readonly Recorder[]): Promise<boolean> {
  let drawn = false;
  for (const recorder of recorders) {
    const entries = (await recorder.draw?.()) ?? [];
    if (entries.length === 0) continue;
    drawn = true;
    for (const each of recorders) await each.pictures?.(entries);
  }
  return drawn;
}
