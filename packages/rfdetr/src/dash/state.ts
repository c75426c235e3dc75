// What the routes of the live page share.
import type { OpenRuns } from "./runs/open-run.js";
import type { RunFolders } from "./runs/run-folders.js";
import type { RunRows } from "./runs/run-row.js";

/** What the routes share. */
export interface DashState {
  folders: RunFolders;
  rows: RunRows;
  open: OpenRuns;
}
