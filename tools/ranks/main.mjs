#!/usr/bin/env node
// @ts-check
// What may happen to a run of several processes, tried: kills at any instant, stalls, signals, a full disk, a network
// that is cut, torchrun's restarts. Each time all processes must end in time with one sentence, and the run must go on
// to the weights of a run that nobody disturbed, bit for bit.
//
//   npm run build && node tools/ranks/main.mjs [--kills 50] [--processes 2] [--seed 1] [--torchrun PATH]
//     [--only kills,stall,signals,disk,hosts,torchrun]
//
// Network namespaces and the full disk need root.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Command, endOf, makeData, trainingOf } from "./command.mjs";
import { partitions } from "./hosts.mjs";
import { kills } from "./kills.mjs";
import {
  fullDisk,
  interrupt,
  interruptTwice,
  launcherKilled,
  otherNumber,
  restart,
  signalToRank,
  stall,
} from "./scenarios.mjs";
import { underTorchrun } from "./torchrun.mjs";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "50" },
    processes: { type: "string", default: "2" },
    steps: { type: "string", default: "24" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    torchrun: { type: "string", default: "torchrun" },
  },
});
const processes = Number(values.processes);
const steps = Number(values.steps);
const folder = mkdtempSync(join(tmpdir(), "ranks-"));
const say = (/** @type {string} */ line) => console.error(line);
const last = processes - 1;

/** An undisturbed run, whose weights all others must have. */
async function undisturbed() {
  makeData(folder);
  const command = new Command(trainingOf("undisturbed", { steps, timeout: 60, processes }), { cwd: folder });
  const result = await command.end(600);
  if (result?.code !== 0) throw new Error(`The undisturbed run failed: ${command.stderr}`);
  say(`undisturbed: ${result.seconds.toFixed(1)} s`);
  return endOf(join(folder, "undisturbed"));
}

const expected = await undisturbed();
const place = { folder, processes, steps, expected };
/** @type {Record<string, (() => Promise<{ faults: string[], lines: string[] }>)[]>} */
const all = {
  kills: [() => kills({ ...place, kills: Number(values.kills), seed: Number(values.seed), say })],
  stall: [() => stall(place, 0), () => stall(place, last)],
  signals: [
    () => signalToRank(place, last, "SIGTERM", 143),
    () => signalToRank(place, 0, "SIGINT", 130),
    () => interrupt(place),
    () => interruptTwice(place),
    () => launcherKilled(place),
    () => restart(place),
    () => otherNumber(place),
  ],
  disk: [() => fullDisk(place)],
  hosts: [() => partitions(place)],
  torchrun: [() => underTorchrun(place, values.torchrun)],
};
const wanted = values.only?.split(",") ?? Object.keys(all);
const found = [];
try {
  for (const name of wanted)
    for (const scenario of all[name] ?? []) {
      const { faults, lines } = await scenario();
      found.push(...faults);
      for (const line of lines) console.log(line);
      for (const fault of faults) console.log(`WRONG ${fault}`);
    }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(found.length === 0 ? "all right" : `${found.length} wrong`);
process.exitCode = found.length > 0 ? 1 : 0;
