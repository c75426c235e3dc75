// @ts-check
// Two hosts on one machine: network namespaces that a pair of virtual interfaces joins. The link between them goes
// down, or loses every packet.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Command, endOf, faultsOf, hasRun, resumingOf, trainingOf } from "./command.mjs";

/** @typedef {import("./scenarios.mjs").Place} Place */

/** Seconds after which a process that does not answer counts as lost, in these runs. */
const timeout = 5;
/**
 * Seconds in which both must have ended: the timeout, 12 more in which a process asks others why, and some for a busy
 * machine.
 */
const limit = 40;

/** @param {string} program @param {readonly string[]} words */
function must(program, words) {
  const { status, stderr, error } = spawnSync(program, words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${words.join(" ")}: ${error?.message ?? stderr.trim()}`);
}

/** Two namespaces and their addresses. */
class Hosts {
  names = ["rfdetr-a", "rfdetr-b"];
  addresses = ["10.213.77.1", "10.213.77.2"];

  constructor() {
    this.remove();
    for (const name of this.names) must("ip", ["netns", "add", name]);
    must("ip", [
      "link",
      "add",
      "rfdetr-a0",
      "netns",
      "rfdetr-a",
      "type",
      "veth",
      "peer",
      "name",
      "rfdetr-b0",
      "netns",
      "rfdetr-b",
    ]);
    this.names.forEach((name, i) => {
      for (const words of [
        ["address", "add", `${this.addresses[i]}/24`, "dev", `${name}0`],
        ["link", "set", "lo", "up"],
        ["link", "set", `${name}0`, "up"],
      ])
        must("ip", ["-n", name, ...words]);
    });
  }

  /** What starts a program on a host. @param {number} host */
  on(host) {
    return ["ip", "netns", "exec", /** @type {string} */ (this.names[host])];
  }

  remove() {
    for (const name of this.names) spawnSync("ip", ["netns", "delete", name]);
  }
}

/** @param {Hosts} hosts */
const cuts = (hosts) => ({
  "the link goes down": () => must("ip", ["-n", "rfdetr-b", "link", "set", "rfdetr-b0", "down"]),
  // Sent to an address of the network card that nobody has, packets are lost on the way, and nobody is told.
  "every packet is lost": () => {
    hosts.names.forEach((name, host) => {
      const other = /** @type {string} */ (hosts.addresses[1 - host]);
      must("ip", [
        ...["-n", name, "neighbour", "replace", other],
        ...["lladdr", "02:00:00:00:00:99", "dev", `${name}0`],
      ]);
    });
  },
  "rank 1's host loses its power": () => {
    must("ip", ["-n", "rfdetr-b", "link", "set", "rfdetr-b0", "down"]);
    // Nothing of it is heard any more, not even the end of its connections.
    for (const pid of spawnSync("ip", ["netns", "pids", /** @type {string} */ (hosts.names[1])], { encoding: "utf8" })
      .stdout.trim()
      .split("\n"))
      if (pid !== "") spawnSync("kill", ["-KILL", pid]);
  },
});

/**
 * Starts a rank on each host, with the variables of torchrun set by hand.
 * @param {Hosts} hosts @param {string} folder @param {readonly string[]} words
 */
function both(hosts, folder, words) {
  return [0, 1].map(
    (rank) =>
      new Command(rank === 0 ? [...words, "--json"] : words, {
        cwd: folder,
        before: hosts.on(rank),
        env: {
          RANK: String(rank),
          WORLD_SIZE: "2",
          LOCAL_RANK: "0",
          LOCAL_WORLD_SIZE: "1",
          MASTER_ADDR: /** @type {string} */ (hosts.addresses[0]),
          MASTER_PORT: "29511",
        },
      }),
  );
}

/** @param {Place} place @returns {Promise<{ faults: string[], lines: string[] }>} */
export async function partitions(place) {
  const { folder, steps, expected } = place;
  /** @type {Hosts} */
  let hosts;
  try {
    hosts = new Hosts();
  } catch (error) {
    return {
      faults: [],
      lines: [`the network is cut: not tried, this user may not make network namespaces (${error.message})`],
    };
  }
  /** @type {string[]} */
  const faults = [];
  /** @type {string[]} */
  const lines = [];
  try {
    for (const name of /** @type {(keyof ReturnType<typeof cuts>)[]} */ (Object.keys(cuts(hosts)))) {
      hosts.remove();
      hosts = new Hosts();
      const out = "partition";
      rmSync(join(folder, out), { recursive: true, force: true });
      const commands = both(hosts, folder, trainingOf(out, { steps, timeout }));
      const [first, second] = /** @type {[Command, Command]} */ (commands);
      if (!(await first.until(() => /"type":"step".*"step":3,/.test(first.stdout))))
        throw new Error(`Two hosts could not train: ${first.stderr}\n${second.stderr}`);
      cuts(hosts)[name]();
      const began = performance.now();
      await Promise.all(commands.map((command) => command.end(limit)));
      const seconds = (performance.now() - began) / 1000;
      const dead = name.includes("power");
      faults.push(...faultsOf(first, [first.pid]).map((fault) => `${name}, rank 0: ${fault}\n${first.stderr}`));
      if (!dead)
        faults.push(...faultsOf(second, [second.pid]).map((fault) => `${name}, rank 1: ${fault}\n${second.stderr}`));
      // Ending by a signal would look like a lack of memory.
      for (const { result } of dead ? [first] : commands)
        if (result?.code !== 1) faults.push(`${name}: exit code ${result?.code ?? result?.signal} in place of 1`);
      lines.push(
        `${name}: all gone after ${seconds.toFixed(1)} s`,
        ...commands.map((one) => `  ${one.errors[0] ?? "said nothing"}`),
      );
      hosts.remove();
      hosts = new Hosts();
      if (!hasRun(join(folder, out))) faults.push(`${name}: left no run`);
      const again = both(hosts, folder, resumingOf(out));
      const ends = await Promise.all(again.map((command) => command.end(300)));
      if (ends.some((end) => end?.code !== 0))
        faults.push(`${name}: could not be continued\n${again.map((one) => one.stderr).join("\n")}`);
      else if (endOf(join(folder, out)) !== expected)
        faults.push(`${name}: ended with other weights when it was continued`);
    }
  } finally {
    hosts.remove();
  }
  return { faults, lines };
}
