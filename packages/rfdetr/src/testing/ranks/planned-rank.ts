// A process of a planned run of several, started by `plannedGroup`.
import { packError } from "../../support/error-transfer.js";
import { type PlannedRun, plannedRun } from "./planned-run.js";

process.once("message", async (plan: PlannedRun) => {
  const tell = (message: object) => new Promise((told) => process.send?.(message, undefined, {}, told));
  try {
    for await (const event of plannedRun(plan)) await tell({ event });
    await tell({ done: true });
  } catch (error) {
    await tell({ failure: packError(error) });
  }
  process.exit(0);
});
