// @ts-check
// Starts the processes of a group for bench/scale-out.mjs: on the loopback device, or in network namespaces that a wire
// of a given rate and delay connects.
import { execFileSync, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { freePort } from "../../tools/free-port.mjs";

const at = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));
const program = at("./rank.mjs");

/** @typedef {{gbit: number, ms: number}} Wire `gbit` 0: as fast as this machine */

/** A group of processes. */
export class Ranks {
  /** @param {import("node:child_process").ChildProcess[]} children @param {() => void} end */
  constructor(children, end) {
    this.children = children;
    this.end = end;
    /** @type {{joinSeconds: number, startSeconds: number}[]} */
    this.ready = [];
  }

  /**
   * Tells all ranks to do something.
   * @param {{do: string} & Record<string, unknown>} command
   * @returns {Promise<any[]>} their answers, in the order of ranks
   */
  async ask(command) {
    const answers = this.children.map((child) => answerOf(child));
    for (const child of this.children) child.send(command);
    return Promise.all(answers);
  }

  async leave() {
    const ended = this.children.map((child) => once(child, "exit"));
    for (const child of this.children) child.send({ do: "leave" });
    await Promise.all(ended);
    this.end();
  }
}

/** @param {import("node:child_process").ChildProcess} child */
async function answerOf(child) {
  const gone = new AbortController();
  const exit = once(child, "exit", { signal: gone.signal }).then(([code]) => {
    throw new Error(`A rank ended with ${code}`);
  });
  exit.catch(() => {});
  const [message] = /** @type {any[]} */ (await Promise.race([once(child, "message"), exit]));
  gone.abort();
  return message;
}

const environment = (/** @type {number} */ threads) => ({ ...process.env, OMP_NUM_THREADS: String(threads) });

/** Processes on this machine. @param {number} size @param {number} threads of each */
export async function localRanks(size, threads) {
  const place = { size, address: "127.0.0.1", port: await freePort(), threads };
  const children = Array.from({ length: size }, (_, rank) =>
    fork(program, [JSON.stringify({ rank, ...place })], { env: environment(threads) }),
  );
  return ready(new Ranks(children, () => {}));
}

/** Processes on either side of a wire, a thread each. @param {number} size @param {Wire} wire */
export async function wiredRanks(size, { gbit, ms }) {
  const spaces = Array.from({ length: size }, (_, rank) => `rfdetr-${process.pid}-${rank}`);
  const addressOf = (/** @type {number} */ rank) => `10.77.0.${rank + 1}`;
  for (const space of spaces) execFileSync("ip", ["netns", "add", space]);
  const ports = spaces.flatMap((space, rank) => [space, addressOf(rank)]);
  const wire = spawn(builtWire(), [...ports, "--", String(gbit), String(ms)], { stdio: ["pipe", "pipe", "inherit"] });
  const end = () => {
    wire.kill();
    for (const space of spaces) execFileSync("ip", ["netns", "del", space]);
    process.off("exit", end);
  };
  process.on("exit", end);
  await once(/** @type {import("node:stream").Readable} */ (wire.stdout), "data");
  const children = spaces.map((space, rank) => {
    const place = { rank, size, address: addressOf(0), port: 29_500, threads: 1 };
    const command = ["netns", "exec", space, process.execPath, program, JSON.stringify(place)];
    return spawn("ip", command, { stdio: ["ignore", "inherit", "inherit", "ipc"], env: environment(1) });
  });
  return ready(new Ranks(children, end));
}

/** @param {Ranks} ranks */
async function ready(ranks) {
  ranks.ready = await Promise.all(ranks.children.map(answerOf));
  return ranks;
}

/** The program of wire.cc, compiled where it is not yet. */
function builtWire() {
  const [source, folder] = [at("./wire.cc"), at("../../.cache/bench")];
  const built = `${folder}/wire`;
  if (!existsSync(built) || statSync(built).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(folder, { recursive: true });
    execFileSync("c++", ["-O2", "-std=c++20", "-o", built, source]);
  }
  return built;
}
