// @ts-check
// What can happen to the processes of a run on one machine, beside a kill: one stalls, gets a signal, or has no disk.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Command, descendants, endOf, faultsOf, hasRun, isRunning, resumingOf, sleep, trainingOf } from "./command.mjs";

/**
 * Seconds within which everything must have ended: the launcher's 10 after the first end, and some for a busy machine.
 */
const limit = 30;
/** `process_timeout` of the runs whose processes stall. */
const timeout = 5;

/**
 * @typedef {object} Place
 * @property {string} folder where the data are
 * @property {number} processes
 * @property {number} steps of a run
 * @property {string} expected digest of the weights of an undisturbed run
 */
/** @typedef {{ faults: string[], lines: string[] }} Outcome */

/**
 * Starts a run and waits until it has taken some steps.
 * @param {Place} place @param {string} out @param {readonly string[]} [more]
 */
async function inProgress({ folder, steps, processes }, out, more = []) {
  rmSync(join(folder, out), { recursive: true, force: true });
  const command = new Command(trainingOf(out, { steps, timeout, processes, more: ["--json", ...more] }), {
    cwd: folder,
  });
  const isOn = await command.until(() => /"type":"step".*"step":3,/.test(command.stdout));
  if (!isOn) throw new Error(`A run that nobody disturbed ended: ${command.stderr}`);
  return { command, pids: [command.pid, ...descendants(command.pid).map(({ pid }) => pid)] };
}

/**
 * Continues a run to its end, and compares its weights. @param {Place} place @param {string} out
 * @returns {Promise<string[]>} faults
 */
export async function continues({ folder, expected }, out) {
  if (!hasRun(join(folder, out))) return ["left no run that could be continued"];
  const command = new Command(resumingOf(out), { cwd: folder });
  const result = await command.end(300);
  if (result?.code !== 0) return [`could not be continued: ${command.stderr}`];
  return endOf(join(folder, out)) === expected ? [] : ["ended with other weights when it was continued"];
}

/**
 * @param {string} what @param {Command} command @param {readonly string[]} faults @param {string} [more]
 * @returns {Outcome}
 */
const outcome = (what, command, faults, more = "") => ({
  faults: faults.map((fault) => `${what}: ${fault}\n${command.stderr}`),
  lines: [`${what}: ${command.errors[0] ?? `exit ${command.result?.code}`}${more}`],
});

/** @param {Place} place @param {number} rank */
export async function stall(place, rank) {
  const out = `stall-${rank}`;
  const { command, pids } = await inProgress(place, out);
  const victim = command.ranks().find((one) => one.rank === rank);
  const began = performance.now();
  process.kill(/** @type {number} */ (victim?.pid), "SIGSTOP");
  await command.end(timeout + limit);
  const seconds = (performance.now() - began) / 1000;
  const named = command.errors[0]?.includes(`Rank ${rank} on `) ? [] : [`did not name rank ${rank}`];
  const faults = [...faultsOf(command, pids), ...named, ...(await continues(place, out))];
  return outcome(`rank ${rank} stops (SIGSTOP)`, command, faults, `; all gone after ${seconds.toFixed(1)} s`);
}

/**
 * A signal to one process saves once and ends all.
 * @param {Place} place @param {number} rank @param {"SIGTERM" | "SIGINT"} signal @param {number} code
 */
export async function signalToRank(place, rank, signal, code) {
  const out = `signal-${rank}`;
  const { command, pids } = await inProgress(place, out);
  process.kill(/** @type {number} */ (command.ranks().find((one) => one.rank === rank)?.pid), signal);
  const result = await command.end(limit);
  const saved = [...command.stdout.matchAll(/"type":"done".*"stop_reason":"interrupted"/g)].length;
  const faults = [
    ...faultsOf(command, pids, { errors: 0 }),
    ...(result?.code === code ? [] : [`ended with ${result?.code ?? result?.signal} in place of ${code}`]),
    ...(saved === 1 ? [] : [`said ${saved} times that it was interrupted`]),
    ...(await continues(place, out)),
  ];
  return outcome(`${signal} to rank ${rank}`, command, faults);
}

/** Ctrl-C in a terminal reaches the launcher and every process. @param {Place} place */
export async function interrupt(place) {
  const { command, pids } = await inProgress(place, "interrupt");
  process.kill(-command.pid, "SIGINT");
  const result = await command.end(limit);
  const faults = [
    ...faultsOf(command, pids, { errors: 0 }),
    ...(result?.code === 130 ? [] : [`ended with ${result?.code ?? result?.signal} in place of 130`]),
    ...(await continues(place, "interrupt")),
  ];
  return outcome("Ctrl-C to all", command, faults);
}

/** The second Ctrl-C ends everything at once. @param {Place} place */
export async function interruptTwice(place) {
  const { command, pids } = await inProgress(place, "twice");
  // Stopped, so that the first one cannot end it.
  for (const { pid } of command.ranks()) process.kill(pid, "SIGSTOP");
  process.kill(command.pid, "SIGINT");
  await sleep(1500);
  process.kill(command.pid, "SIGINT");
  const result = await command.end(limit);
  for (const pid of pids) if (isRunning(pid)) process.kill(pid, "SIGCONT");
  for (let i = 0; i < 100 && pids.some(isRunning); i++) await sleep(50);
  const faults = [
    ...faultsOf(command, pids, { errors: 0 }),
    ...(result?.signal === "SIGINT" ? [] : [`ended with ${result?.code ?? result?.signal} in place of SIGINT`]),
    ...(await continues(place, "twice")),
  ];
  return outcome("Ctrl-C twice", command, faults);
}

/** Processes do not outlive the launcher. @param {Place} place */
export async function launcherKilled(place) {
  const { command, pids } = await inProgress(place, "orphans");
  process.kill(command.pid, "SIGKILL");
  await command.end(limit);
  for (let i = 0; i < 100 && pids.some(isRunning); i++) await sleep(50);
  const faults = [...faultsOf(command, pids, { errors: 0 }), ...(await continues(place, "orphans"))];
  return outcome("the launcher is killed", command, faults, ", no process is left");
}

/** The run starts anew by itself. @param {Place} place */
export async function restart(place) {
  const { command, pids } = await inProgress(place, "restart", ["--max-restarts", "2"]);
  process.kill(/** @type {number} */ (command.ranks()[1]?.pid), "SIGKILL");
  const result = await command.end(300);
  const same = result?.code === 0 && endOf(join(place.folder, "restart")) === place.expected;
  const told = command.stdout.includes("(restart 1 of at most 2)");
  const faults = [
    ...faultsOf(command, pids, { errors: 0 }),
    ...(same ? [] : ["did not end with the weights of an undisturbed run"]),
    ...(told ? [] : ["did not tell of the restart"]),
  ];
  return outcome("a kill with --max-restarts 2", command, faults, ", with the weights of an undisturbed run");
}

/** The disk of rank 0 is full. @param {Place} place */
export async function fullDisk(place) {
  const disk = join(place.folder, "disk");
  mkdirSync(disk, { recursive: true });
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64m", "tmpfs", disk]);
  if (mounted.status !== 0)
    return { faults: [], lines: ["the disk of rank 0 is full: not tried, this user may not mount a file system"] };
  try {
    const out = join("disk", "run");
    const { command, pids } = await inProgress(place, out);
    // What a checkpoint frees when it takes the place of another is filled as well.
    for (let i = 0; command.result === null && i < 100; i++) {
      spawnSync("dd", ["if=/dev/zero", `of=${join(disk, `filling-${i}`)}`, "bs=64k"]);
      await sleep(50);
    }
    await command.end(limit);
    const said = command.errors[0]?.includes("the disk is full");
    const faults = [...faultsOf(command, pids), ...(said ? [] : ["did not say that the disk is full"])];
    for (const name of readdirSync(disk)) if (name.startsWith("filling")) rmSync(join(disk, name));
    const summary = existsSync(join(place.folder, out, "checkpoint")) ? [] : ["left no checkpoint"];
    return outcome("the disk of rank 0 is full", command, [...faults, ...summary, ...(await continues(place, out))]);
  } finally {
    spawnSync("umount", [disk]);
  }
}

/** A run that was begun by several goes on in another number of processes. @param {Place} place */
export async function otherNumber(place) {
  const { command } = await inProgress(place, "other");
  process.kill(command.pid, "SIGTERM");
  await command.end(limit);
  const alone = new Command(resumingOf("other", ["--processes", "1"]), { cwd: place.folder });
  const result = await alone.end(300);
  const same = result?.code === 0 && endOf(join(place.folder, "other")) === place.expected;
  return outcome(
    "continued by one process",
    alone,
    same ? [] : ["ended with other weights"],
    ", with the same weights",
  );
}
