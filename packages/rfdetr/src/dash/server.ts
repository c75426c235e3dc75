// Starts the live page.
import { createAdaptorServer } from "@hono/node-server";
import { closeServer, listenLocally, localHost } from "../support/machine/listen.js";
import { checkOptions, countOrZero, filePath, flag } from "../support/options.js";
import { dashApp } from "./app.js";
import { makeKeys } from "./http/guard.js";
import { liveState } from "./runs/controls.js";
import { OpenRuns } from "./runs/open-run.js";
import { RunFolders } from "./runs/run-folders.js";
import { RunRows } from "./runs/run-row.js";

/** The port that is tried where none is asked for, so that the address stays alike. */
const usualPort = 7890;

/** How the page is started. */
export interface DashOptions {
  /** The folder of the runs, or of one run. */
  folder: string;
  /** The port; by default 7890, or any that is free. */
  port?: number;
  /** Whether the folder may be missing, and the page waits for the first run in it (default false). */
  wait?: boolean;
}

/** A live page that is served. */
export interface Dash {
  /** The address that opens it; whoever has it can read the runs and stop them. */
  url: string;
  port: number;
  /** Ends it, with all connections. */
  close(): Promise<void>;
}

/**
 * Serves the live page of a folder of runs to the browser of this machine.
 * @throws RunDirectoryError where there is no such folder, unless it may be missing
 * @throws UsageError for a port that cannot be had
 * @example
 * import { startDash } from "rfdetr/dash";
 * const dash = await startDash({ folder: "runs" });
 * console.log(dash.url);
 */
export async function startDash(options: DashOptions): Promise<Dash> {
  checkOptions("startDash", options, { folder: filePath, port: countOrZero, wait: flag }, ["folder"]);
  const { folder, port, wait } = options;
  const folders = new RunFolders(folder, wait);
  const keys = makeKeys();
  let listening = 0;
  const app = dashApp({ folders, rows: new RunRows(liveState), open: new OpenRuns() }, keys, () => listening);
  const server = createAdaptorServer({ fetch: app.fetch });
  listening = await listenLocally(server, port, usualPort);
  return {
    url: `http://${localHost}:${listening}/?token=${keys.token}`,
    port: listening,
    close: () => closeServer(server),
  };
}
