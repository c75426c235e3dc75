// Processes of a group that train nothing: what the launcher makes of them.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StopRequest } from "../../run/control/stop-request.js";
import type { TrainEvent } from "../../run/events/events.js";
import { type LaunchOptions, trainInProcesses } from "../../run/launch/launcher.js";
import type { RankProgram } from "../../run/launch/rank-process.js";
import { resolveSettings } from "../../settings/resolve.js";

/** Makes such programs in a folder, and runs them. */
export function untrainedRanks(folder: string) {
  /**
   * A rank that trains nothing: `body` may use `rank`, `place`, `request`, `tell(message)` and `stopped`, the promise
   * of a request to stop.
   * @param farewell milliseconds after which those that are left are killed; by default never, however slow all is
   */
  function rank(name: string, body: string, farewell = 1e6, patience = 1e6): RankProgram {
    const script = join(folder, `${name}.mjs`);
    writeFileSync(
      script,
      `import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
       const tell = (message) => new Promise((told) => process.send(message, told));
       const error = { name: "Error", family: "rfdetr" };
       const failure = (code, message, more = {}) => tell({ failure: { ...error, code, message, ...more } });
       process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
       let stop;
       const stopped = new Promise((resolve) => { stop = resolve; });
       process.on("message", async (message) => {
         if ("stop" in message) return stop(message.stop);
         const request = message.begin;
         const { place, settings } = request;
         const { rank } = place;
         appendFileSync(${JSON.stringify(join(folder, name))}, rank + " " + process.pid + "\\n");
         ${body}
         await tell({ done: true });
         process.exit(0);
       });`,
    );
    return { script, farewell, patience };
  }

  /** The processes that ran a program: rank and number. */
  const processes = (name: string): (readonly [rank: number, pid: number])[] => {
    const file = join(folder, name);
    const lines = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
    return lines.map((line) => line.split(" ").map(Number) as [number, number]);
  };
  /** The ranks of those that run. */
  const running = (name: string): number[] => processes(name).flatMap(([rank, pid]) => (isAlive(pid) ? [rank] : []));

  function isAlive(pid: number): boolean {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  }

  const settings = resolveSettings({ datasetDir: "nowhere", model: "tiny", processTimeout: 7 });

  function launch(
    program: RankProgram,
    { maxRestarts = 0, stop = new StopRequest() }: Partial<LaunchOptions> = {},
  ): { events: TrainEvent[]; ended: Promise<void> } {
    const events: TrainEvent[] = [];
    const emit = (event: TrainEvent): void => void events.push(event);
    const request = { settings, resume: null };
    return { events, ended: trainInProcesses({ request, processes: 3, maxRestarts, stop, emit, program }) };
  }
  return { rank, processes, running, launch };
}
