// The short form of tools/ranks/main.mjs.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Command, descendants, endOf, faultsOf, makeData, trainingOf } from "./command.mjs";

const limit = 120;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ranks-"));
  makeData(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const training = (out: string, steps: number, ...more: string[]): string[] =>
  trainingOf(out, { steps, timeout: 60, more: ["--json", ...more] });
const start = (words: readonly string[], env: Record<string, string> = {}): Command =>
  new Command(words, { cwd: folder, env });
const hasTaken = (command: Command, step: number): boolean => command.stdout.includes(`"step":${step},`);
const pidsOf = (command: Command): number[] => [command.pid, ...descendants(command.pid).map(({ pid }) => pid)];
const kill = (command: Command, rank: number, signal: NodeJS.Signals): void =>
  void process.kill(command.ranks().find((one) => one.rank === rank)?.pid as number, signal);

/** Starts two processes by hand, as on two machines. */
async function startByHand(words: readonly (readonly string[])[]): Promise<[Command, Command]> {
  const server = createServer();
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address() as { port: number };
  await new Promise((closed) => server.close(closed));
  return words.map((own, rank) =>
    start(own, { RANK: String(rank), WORLD_SIZE: "2", MASTER_ADDR: "127.0.0.1", MASTER_PORT: String(port) }),
  ) as [Command, Command];
}

/** The same, when both have ended. */
async function byHand(words: readonly (readonly string[])[]): Promise<[Command, Command]> {
  const commands = await startByHand(words);
  await Promise.all(commands.map((command) => command.end(limit)));
  return commands;
}

describe("a run of several processes", () => {
  it("restarts when one is lost, and ends with the weights of one that was started by hand and not disturbed", async () => {
    const undisturbed = await byHand([training("hand", 6), training("hand", 6)]);
    expect(undisturbed.map(({ result, stderr }) => [result?.code, stderr.includes("error")])).toEqual([
      [0, false],
      [0, false],
    ]);
    expect(undisturbed[1].stdout + undisturbed[1].stderr).toBe("");
    const command = start(training("again", 6, "--processes", "2", "--max-restarts", "1"));
    await command.until(() => hasTaken(command, 3));
    kill(command, 1, "SIGKILL");
    const pids = pidsOf(command);
    expect((await command.end(limit))?.code).toBe(0);
    expect(faultsOf(command, pids, { errors: 0 })).toEqual([]);
    expect(command.stdout).toContain(`Rank 1 on ${hostname()} was ended by SIGKILL. All 2 processes start anew`);
    expect(endOf(join(folder, "again"))).toBe(endOf(join(folder, "hand")));
  });

  it("ends with one sentence when rank 0 is killed, and is free for who continues it", async () => {
    const command = start(training("killed", 1000, "--processes", "2"));
    await command.until(() => hasTaken(command, 2));
    const pids = pidsOf(command);
    kill(command, 0, "SIGKILL");
    expect((await command.end(limit))?.code).toBe(1);
    expect(faultsOf(command, pids)).toEqual([]);
    expect(command.errors).toEqual([`error: Rank 0 on ${hostname()} was ended by SIGKILL`]);
    expect(existsSync(join(folder, "killed", "lock"))).toBe(false);
    expect(existsSync(join(folder, "killed", "checkpoint", "state.json"))).toBe(true);
  });

  it("saves once and ends when one of its processes gets SIGTERM", async () => {
    const command = start(training("stopped", 1000, "--processes", "2"));
    await command.until(() => hasTaken(command, 2));
    const pids = pidsOf(command);
    kill(command, 1, "SIGTERM");
    expect((await command.end(limit))?.code).toBe(143);
    expect(faultsOf(command, pids, { errors: 0 })).toEqual([]);
    const last = JSON.parse(command.stdout.trim().split("\n").at(-1) as string);
    expect(last).toMatchObject({ type: "done", summary: { stop_reason: "interrupted" } });
  });

  it("does not begin where its processes were asked for different things", async () => {
    const commands = await byHand([training("differ", 2), training("differ", 2, "--lr", "0.5")]);
    expect(commands.map(({ result }) => result?.code)).toEqual([2, 2]);
    const message = "Expected the same settings in all processes but lr is 0.0001 on rank 0 and 0.5 on rank 1";
    expect(commands.map(({ errors }) => errors)).toEqual([
      [`error: ${message}`],
      [`error: rank 1 on ${hostname()}: ${message}`],
    ]);
    expect(JSON.parse(commands[0].stdout.trim().split("\n").at(-1) as string)).toMatchObject({
      error: { code: "ERR_CONFIG" },
    });
    expect(commands[1].stdout).toBe("");
    expect(existsSync(join(folder, "differ"))).toBe(false);
  });
});

describe("processes that another launcher has started, and asks to end", () => {
  it("save what all have done where one of them hangs", async () => {
    const words = trainingOf("hangs", { steps: 1000, timeout: 600, more: ["--json"] });
    const commands = await startByHand([words, words]);
    const [first, second] = commands;
    await first.until(() => hasTaken(first, 3));
    process.kill(second.pid, "SIGSTOP");
    for (const command of commands) command.kill("SIGINT");
    // Long before the timeout of the group, at which the others would fail anyway.
    expect((await first.end(limit))?.code).toBe(1);
    expect(first.errors).toEqual([
      `error: Rank 1 on ${hostname()} gave no sign for 15 seconds after all were asked to save and end: it was stopped, as by SIGSTOP or a debugger, or its host or network is gone`,
    ]);
    process.kill(second.pid, "SIGCONT");
    await second.end(limit);
    const steps = [...first.stdout.matchAll(/"type":"step".*?"step":(\d+),/g)].map(([, step]) => Number(step));
    const { progress } = JSON.parse(readFileSync(join(folder, "hangs", "checkpoint", "state.json"), "utf8"));
    expect(progress.step).toBe(steps.at(-1));
  });
});

describe("the launcher", () => {
  it("takes its processes with it when it is killed", async () => {
    const command = start(training("orphans", 1000, "--processes", "2"));
    await command.until(() => hasTaken(command, 1));
    const pids = pidsOf(command);
    command.kill("SIGKILL");
    await command.end(limit);
    await expect.poll(() => faultsOf(command, pids, { errors: 0 }), { timeout: 30_000 }).toEqual([]);
    expect(readFileSync(join(folder, "orphans", "config.json"), "utf8")).toContain('"processes": 2');
  });
});
