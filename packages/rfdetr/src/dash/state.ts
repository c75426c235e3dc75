import type { OpenRuns } from "./open-run.js";
import type { RunFolders } from "./run-folders.js";
import type { RunRows } from "./run-row.js";

/** What the routes share. */
export interface DashState {
  folders: RunFolders;
  rows: RunRows;
  open: OpenRuns;
}
