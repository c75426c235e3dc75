// @ts-check
// The command under torchrun: its agent holds the store and starts all processes anew when one is lost.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Command, descendants, endOf, killQuietly, rfdetr, trainingOf } from "./command.mjs";

/** @typedef {import("./scenarios.mjs").Place} Place */

/** Processes of the command below torchrun. @param {Command} command */
const ranksBelow = (command) =>
  descendants(command.pid).filter(({ words }) => words.includes(rfdetr) && words.startsWith(process.execPath));

/**
 * @param {Place} place @param {string} torchrun path of the program
 * @returns {Promise<{ faults: string[], lines: string[] }>}
 */
export async function underTorchrun({ folder, steps, processes, expected }, torchrun) {
  if (spawnSync(torchrun, ["--help"]).status !== 0)
    return { faults: [], lines: [`torchrun: not tried, ${torchrun} does not run`] };
  /** @type {string[]} */
  const faults = [];
  /** @type {string[]} */
  const lines = [];
  const forms = {
    "agent's store": ["--standalone"],
    "rank 0's store": ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:29703"],
  };
  for (const [name, how] of Object.entries(forms))
    for (const kills of [0, 1]) {
      rmSync(join(folder, "torchrun"), { recursive: true, force: true });
      const own = { TORCH_DISABLE_SHARE_RDZV_TCP_STORE: name.startsWith("agent") ? "0" : "1" };
      const before = [torchrun, "--no-python", ...how, "--nproc-per-node", String(processes), "--max-restarts", "2"];
      const command = new Command([...trainingOf("torchrun", { steps, timeout: 60 }), "--json"], {
        cwd: folder,
        before,
        env: own,
      });
      await command.until(() => /"type":"step".*"step":3,/.test(command.stdout));
      if (kills > 0) killQuietly(/** @type {number} */ (ranksBelow(command)[1]?.pid));
      const result = await command.end(400);
      const title = `torchrun, ${name}${kills > 0 ? ", a rank killed" : ""}`;
      if (result?.code !== 0) faults.push(`${title}: ended with ${result?.code}\n${command.stderr}`);
      else if (endOf(join(folder, "torchrun")) !== expected) faults.push(`${title}: ended with other weights`);
      else lines.push(`${title}: ended after ${result.seconds.toFixed(0)} s with the weights of an undisturbed run`);
      if (command.stdout.split("\n").some((line) => line !== "" && !line.startsWith("{")))
        faults.push(`${title}: printed something else than JSON on stdout`);
    }
  return { faults, lines };
}
