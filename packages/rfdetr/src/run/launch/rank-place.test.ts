import { describe, expect, it } from "vitest";
import { UsageError } from "../../support/errors.js";
import { firstHost, readRankPlace } from "./rank-place.js";

const torchrun = {
  RANK: "3",
  WORLD_SIZE: "4",
  LOCAL_RANK: "1",
  LOCAL_WORLD_SIZE: "2",
  MASTER_ADDR: "10.0.0.1",
  MASTER_PORT: "29500",
};
const slurm = {
  SLURM_PROCID: "2",
  SLURM_NTASKS: "4",
  SLURM_LOCALID: "0",
  SLURM_NODEID: "1",
  SLURM_STEP_ID: "0",
  SLURM_JOB_ID: "4711",
  SLURM_JOB_NODELIST: "gpu[07-08]",
  SLURM_TASKS_PER_NODE: "2(x2)",
};

describe("the variables of torchrun", () => {
  it("say which process this one is", () => {
    expect(readRankPlace(torchrun, 60)).toEqual({
      place: {
        rank: 3,
        size: 4,
        localRank: 1,
        localSize: 2,
        address: "10.0.0.1",
        port: 29_500,
        isStoreServer: false,
        prefix: "rfdetr/run/0",
        timeoutSeconds: 60,
      },
      restarts: 0,
    });
  });

  it("make rank 0 serve the store, unless the agent does", () => {
    expect(readRankPlace({ ...torchrun, RANK: "0" }, 60)?.place.isStoreServer).toBe(true);
    const agent = { ...torchrun, RANK: "0", TORCHELASTIC_USE_AGENT_STORE: "True" };
    expect(readRankPlace(agent, 60)?.place.isStoreServer).toBe(false);
  });

  it("keep the keys of a restart apart from those before", () => {
    const again = { ...torchrun, TORCHELASTIC_RESTART_COUNT: "2", TORCHELASTIC_RUN_ID: "job" };
    expect(readRankPlace(again, 60)).toMatchObject({ place: { prefix: "rfdetr/job/2" }, restarts: 2 });
  });

  it.each([
    ["nothing", {}],
    ["a world of one", { WORLD_SIZE: "1" }],
    [
      "a world of one with everything else",
      { ...torchrun, RANK: "0", WORLD_SIZE: "1", LOCAL_RANK: "0", LOCAL_WORLD_SIZE: "1" },
    ],
    ["an address alone, which images of containers may set", { MASTER_ADDR: "localhost", MASTER_PORT: "1" }],
  ])("are those of a process alone: %s", (_, env) => {
    expect(readRankPlace(env, 60)).toBeNull();
  });
});

describe("the variables of a PyTorchJob, and those that are set by hand", () => {
  const { LOCAL_RANK: _, LOCAL_WORLD_SIZE: __, ...byHand } = torchrun;

  it("put the process alone on its machine", () => {
    expect(readRankPlace(byHand, 60)?.place).toMatchObject({ rank: 3, localRank: 0, localSize: 1 });
  });

  it.each(["127.0.0.1", "localhost", "::1"])("put all processes that meet at %s on this machine", (address) => {
    expect(readRankPlace({ ...byHand, MASTER_ADDR: address }, 60)?.place).toMatchObject({ localRank: 3, localSize: 4 });
  });
});

describe("the variables of SLURM", () => {
  it("say which task of srun this process is", () => {
    expect(readRankPlace(slurm, 60)?.place).toEqual({
      rank: 2,
      size: 4,
      localRank: 0,
      localSize: 2,
      address: "gpu07",
      port: 15_000 + ((4711 * 16) % 15_000),
      isStoreServer: false,
      prefix: "rfdetr/4711.0/0",
      timeoutSeconds: 60,
    });
  });

  it("yield to an address and a port that the script names", () => {
    expect(readRankPlace({ ...slurm, MASTER_ADDR: "head", MASTER_PORT: "29500" }, 60)?.place).toMatchObject({
      address: "head",
      port: 29_500,
    });
  });

  it("yield to those of torchrun, which a script may start", () => {
    expect(readRankPlace({ ...slurm, ...torchrun }, 60)?.place).toMatchObject({ rank: 3, address: "10.0.0.1" });
  });

  it("of one task are those of a process alone", () => {
    expect(readRankPlace({ ...slurm, SLURM_NTASKS: "1", SLURM_PROCID: "0" }, 60)).toBeNull();
  });

  it.each([
    ["gpu07", "gpu07"],
    ["gpu[07-08]", "gpu07"],
    ["gpu[1,3-5],login", "gpu1"],
    ["rack[2-3]n[010-012],gpu1", "rack2n010"],
    ["a,b[1-2]", "a"],
  ])("list the hosts %s, the first of which is %s", (list, first) => {
    expect(firstHost(list)).toBe(first);
  });
});

describe("variables that cannot be", () => {
  it.each([
    [
      { RANK: "0", WORLD_SIZE: "2" },
      "Expected the environment variables RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT together but MASTER_ADDR, MASTER_PORT are missing",
    ],
    [{ WORLD_SIZE: "2", MASTER_ADDR: "a", MASTER_PORT: "1" }, "RANK is missing"],
    [{ ...torchrun, RANK: "4" }, 'Expected integer from 0 to 3 for the environment variable RANK but received "4"'],
    [{ ...torchrun, WORLD_SIZE: "many" }, 'for the environment variable WORLD_SIZE but received "many"'],
    [
      { ...torchrun, MASTER_PORT: "70000" },
      "Expected integer from 1 to 65535 for the environment variable MASTER_PORT",
    ],
    [{ ...torchrun, LOCAL_RANK: "2" }, "Expected integer from 0 to 1 for the environment variable LOCAL_RANK"],
    [{ ...torchrun, LOCAL_WORLD_SIZE: "" }, "together but received LOCAL_RANK alone"],
    [{ ...slurm, SLURM_STEP_ID: undefined }, "Expected one process of 4 but this one was not started by srun"],
    [{ ...slurm, WORLD_SIZE: "2" }, 'Expected a WORLD_SIZE of 4, the tasks of this SLURM step, but received "2"'],
    [{ ...slurm, SLURM_JOB_NODELIST: "" }, "Expected the hosts of the SLURM job in SLURM_JOB_NODELIST"],
  ])("%j: %s", (env, message) => {
    const read = () => readRankPlace(env, 60);
    expect(read).toThrow(UsageError);
    expect(read).toThrow(message);
  });
});
