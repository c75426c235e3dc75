// How often a run is watched from inside.
import type { Session } from "../session/session.js";

/** The watched steps of a short run, about: enough to draw a line through. */
const wanted = 40;
/**
 * The fewest steps between two watched ones: a watched step takes 40 % longer in Nano, 2.5 times as long in tiny, and
 * a run shall not lose much of its time.
 */
const least = 10;
/** The most steps between two watched ones, so that a long run loses 0.2 % of its time and its log stays small. */
const most = 200;

/**
 * Steps between those that are watched; 0 watches none. With `monitor_interval` auto it follows the planned end, which
 * a time budget moves while the run goes on.
 */
export function watchInterval({
  settings: { monitorInterval },
  totalSteps,
}: Pick<Session, "totalSteps"> & { settings: Pick<Session["settings"], "monitorInterval"> }): number {
  return monitorInterval === "auto" ? Math.min(most, Math.max(least, Math.ceil(totalSteps / wanted))) : monitorInterval;
}
