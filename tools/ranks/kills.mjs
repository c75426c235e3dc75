// @ts-check
// Kills a process of a run at any instant, continues the run, and so on until it ends: it must end with the weights of
// a run that nobody disturbed.
import { rmSync } from "node:fs";
import { join } from "node:path";
import {
  Command,
  descendants,
  endOf,
  faultsOf,
  hasRun,
  killQuietly,
  randomOf,
  resumingOf,
  sleep,
  spread,
  trainingOf,
} from "./command.mjs";

/** Seconds in which all must have ended after one was killed: the launcher's 10, and some for a busy machine. */
const limit = 30;

/**
 * @typedef {object} KillOptions
 * @property {string} folder where the data are
 * @property {number} kills
 * @property {number} seed
 * @property {number} processes
 * @property {number} steps of a run
 * @property {string} expected digest of the weights of an undisturbed run
 * @property {(line: string) => void} [say]
 */

/** Starts or continues the run. @param {KillOptions} options @param {string} out */
const started = ({ folder, steps, processes }, out) =>
  new Command(hasRun(join(folder, out)) ? resumingOf(out) : trainingOf(out, { steps, timeout: 60, processes }), {
    cwd: folder,
  });

/**
 * Kills one process of a command at some instant of its life.
 * @param {Command} command @param {number} processes @param {number} life its seconds @param {() => number} random
 */
async function killOne(command, processes, life, random) {
  await command.until(() => command.ranks().length === processes);
  await Promise.race([command.ended, sleep(random() * life * 1000)]);
  const victim = command.ranks()[Math.floor(random() * processes)] ?? null;
  const pids = [command.pid, ...descendants(command.pid).map(({ pid }) => pid)];
  if (victim !== null) killQuietly(victim.pid);
  return { victim, pids, at: performance.now() };
}

/**
 * Kills processes of runs until so many are killed and the last run has ended.
 * @param {KillOptions} options
 */
export async function kills(options) {
  const { folder, kills: wanted, seed, processes, expected, say = () => {} } = options;
  const random = randomOf(seed);
  /** @type {string[]} */
  const faults = [];
  /** @type {number[]} */
  const seconds = [];
  const byRank = Array.from({ length: processes }, () => 0);
  let [done, runs, same, life] = [0, 0, 0, 8];
  while (done < wanted) {
    const out = `kills-${seed}-${runs++}`;
    for (let over = false; !over; ) {
      const command = started(options, out);
      const kill = done < wanted ? await killOne(command, processes, life, random) : null;
      const result = await command.end(kill?.victim ? limit : 300);
      over = result?.code === 0;
      life = Math.max(life, over ? (result?.seconds ?? 0) : 0);
      if (kill === null || kill.victim === null) {
        if (!over) throw new Error(`A run that nobody disturbed failed: ${command.stderr}`);
        continue;
      }
      // One that was about to end may end well.
      if (over) continue;
      byRank[kill.victim.rank] = (byRank[kill.victim.rank] ?? 0) + 1;
      done++;
      seconds.push((performance.now() - kill.at) / 1000);
      const which = `kill ${done} of ${wanted}, rank ${kill.victim.rank}`;
      faults.push(...faultsOf(command, kill.pids).map((fault) => `${which}: ${fault}\n${command.stderr}`));
      say(`${which}: ${command.errors[0]}`);
    }
    if (endOf(join(folder, out)) === expected) same++;
    else faults.push(`run ${runs} ended with other weights`);
    rmSync(join(folder, out), { recursive: true });
  }
  const shares = byRank.map((count, rank) => `${count} of rank ${rank}`).join(", ");
  return {
    faults,
    lines: [
      `${done} kills (${shares}): all processes had ended after ${spread(seconds)}`,
      `${runs} runs were continued to their end, ${same} of them with the weights of an undisturbed run`,
    ],
  };
}
