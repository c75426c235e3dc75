// The place of a process in a group that trains together, as its launcher tells it by environment variables.
import { UsageError } from "../../support/errors.js";
import { shown } from "../../support/shown.js";

/** The place of one process among those that train together. */
export interface RankPlace {
  /** Number of the process, from 0. Rank 0 writes the files of the run. */
  rank: number;
  /** Number of processes. */
  size: number;
  /** Number of the process on its machine, from 0. */
  localRank: number;
  /** Number of processes on its machine. */
  localSize: number;
  /** Host name or address at which the processes find each other. */
  address: string;
  port: number;
  /** A socket that listens on `port` already, as a file descriptor of rank 0. */
  storeFd?: number;
  /** Whether this process serves the store: rank 0, unless the launcher does. */
  isStoreServer: boolean;
  /** What the keys of the store begin with: those of an earlier attempt may still be there. */
  prefix: string;
  /** Seconds after which a process that does not answer counts as lost. */
  timeoutSeconds: number;
}

/** What a launcher has told a process. */
export interface Launched {
  place: RankPlace;
  /** How often the launcher has started the processes anew. */
  restarts: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The place that the environment gives this process: the variables of torchrun and of Kubernetes' PyTorchJob, or those
 * of a task that SLURM's srun has started.
 * @param processes that this one is to start by itself, such as in the batch script of a SLURM job
 * @returns null for a process that no launcher has given a place
 * @throws UsageError where variables are missing, or contradict each other
 */
export function readRankPlace(env: Environment, timeoutSeconds: number, processes = 1): Launched | null {
  const bySlurm = isSet(env, "SLURM_PROCID") && isSet(env, "SLURM_NTASKS") && !isSet(env, "RANK");
  const launched = bySlurm ? ofSlurm(env, timeoutSeconds, processes) : ofTorch(env, timeoutSeconds);
  return launched === null || launched.place.size === 1 ? null : launched;
}

const torchNames = ["RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"] as const;

function ofTorch(env: Environment, timeoutSeconds: number): Launched | null {
  // A WORLD_SIZE of 1 is a group of one, whatever else is set.
  if (!isSet(env, "RANK") && (!isSet(env, "WORLD_SIZE") || number(env, "WORLD_SIZE", 1) === 1)) return null;
  const missing = torchNames.filter((name) => !isSet(env, name));
  if (missing.length > 0)
    throw new UsageError(
      `Expected the environment variables ${torchNames.join(", ")} together but ${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} missing`,
      { hint: "A launcher such as torchrun sets all of them; to train in one process, unset them" },
    );
  const size = number(env, "WORLD_SIZE", 1);
  const rank = number(env, "RANK", 0, size - 1);
  const address = env.MASTER_ADDR as string;
  const agent = env.TORCHELASTIC_USE_AGENT_STORE === "True";
  const restarts = isSet(env, "TORCHELASTIC_RESTART_COUNT") ? number(env, "TORCHELASTIC_RESTART_COUNT", 0) : 0;
  return {
    place: {
      rank,
      size,
      ...localPlace(env, rank, size, address),
      address,
      port: number(env, "MASTER_PORT", 1, 65_535),
      isStoreServer: rank === 0 && !agent,
      prefix: `rfdetr/${env.TORCHELASTIC_RUN_ID ?? "run"}/${restarts}`,
      timeoutSeconds,
    },
    restarts,
  };
}

/** Where a launcher does not tell, all processes are on this machine if they meet on loopback, and this one is alone
 * on it if not. */
function localPlace(
  env: Environment,
  rank: number,
  size: number,
  address: string,
): Pick<RankPlace, "localRank" | "localSize"> {
  if (isSet(env, "LOCAL_RANK") !== isSet(env, "LOCAL_WORLD_SIZE")) {
    const [there, missing] = isSet(env, "LOCAL_RANK")
      ? ["LOCAL_RANK", "LOCAL_WORLD_SIZE"]
      : ["LOCAL_WORLD_SIZE", "LOCAL_RANK"];
    throw new UsageError(
      `Expected the environment variables LOCAL_RANK and LOCAL_WORLD_SIZE together but received ${there} alone`,
      {
        hint: `Set ${missing} as well: the number of this process on its machine, and how many run there`,
      },
    );
  }
  if (!isSet(env, "LOCAL_RANK")) return isLoopback(address) ? { localRank: rank, localSize: size } : alone;
  const localSize = number(env, "LOCAL_WORLD_SIZE", 1, size);
  return { localRank: number(env, "LOCAL_RANK", 0, localSize - 1), localSize };
}

const alone = { localRank: 0, localSize: 1 };

/** Whether an address is one of this machine only. */
function isLoopback(address: string): boolean {
  return address === "localhost" || address === "::1" || /^127(\.\d+){3}$/.test(address);
}

function ofSlurm(env: Environment, timeoutSeconds: number, processes: number): Launched | null {
  const size = number(env, "SLURM_NTASKS", 1);
  if (size === 1) return null;
  // The batch script of a job has a rank as well, but only srun starts tasks.
  if (!isSet(env, "SLURM_STEP_ID") && processes > 1) return null;
  if (!isSet(env, "SLURM_STEP_ID"))
    throw new UsageError(`Expected one process of ${size} but this one was not started by srun`, {
      hint: "Put srun before the command, so that SLURM starts every task; or ask SLURM for one task",
    });
  const rank = number(env, "SLURM_PROCID", 0, size - 1);
  if (isSet(env, "WORLD_SIZE") && number(env, "WORLD_SIZE", 1) !== size)
    throw new UsageError(
      `Expected a WORLD_SIZE of ${size}, the tasks of this SLURM step, but received ${shown(env.WORLD_SIZE)}`,
      { hint: "Leave WORLD_SIZE out: srun says how many tasks there are" },
    );
  const localRank = isSet(env, "SLURM_LOCALID") ? number(env, "SLURM_LOCALID", 0, size - 1) : 0;
  const nodes = env.SLURM_STEP_NODELIST ?? env.SLURM_JOB_NODELIST;
  if (!isSet(env, "MASTER_ADDR") && (nodes === undefined || nodes === ""))
    throw new UsageError("Expected the hosts of the SLURM job in SLURM_JOB_NODELIST, or that of rank 0 in MASTER_ADDR");
  const [job, step] = [number(env, "SLURM_JOB_ID", 0), number(env, "SLURM_STEP_ID", 0)];
  const restarts = isSet(env, "SLURM_RESTART_COUNT") ? number(env, "SLURM_RESTART_COUNT", 0) : 0;
  return {
    place: {
      rank,
      size,
      localRank,
      localSize: Math.max(localRank + 1, tasksOfNode(env)),
      address: env.MASTER_ADDR ?? firstHost(nodes as string),
      port: isSet(env, "MASTER_PORT") ? number(env, "MASTER_PORT", 1, 65_535) : portOfJob(job, step),
      isStoreServer: rank === 0,
      prefix: `rfdetr/${job}.${step}/${restarts}`,
      timeoutSeconds,
    },
    restarts,
  };
}

/** A port below those that systems give to connections, another one for each job and step. */
const portOfJob = (job: number, step: number): number => 15_000 + ((job * 16 + step) % 15_000);

/**
 * The first host of a list such as `node[01-03,07],login`, in which brackets hold numbers and ranges.
 * @internal for tests
 */
export function firstHost(list: string): string {
  const first = /^(?:[^,[]|\[[^\]]*\])+/.exec(list)?.[0] ?? list;
  return first.replace(/\[([^\],-]+)[^\]]*\]/g, "$1");
}

/** Tasks of this node, from a list such as `2(x3),1`: two on each of three nodes, then one; 1 where it is not told. */
function tasksOfNode(env: Environment): number {
  const list = env.SLURM_STEP_TASKS_PER_NODE ?? env.SLURM_TASKS_PER_NODE ?? "";
  const tasks = [...list.matchAll(/(\d+)(?:\(x(\d+)\))?/g)].flatMap(([, count, nodes = "1"]) =>
    Array.from({ length: Number(nodes) }, () => Number(count)),
  );
  const node = isSet(env, "SLURM_NODEID") ? number(env, "SLURM_NODEID", 0) : 0;
  return tasks[node] ?? 1;
}

const isSet = (env: Environment, name: string): boolean => (env[name] ?? "") !== "";

/** The whole number that a variable holds. @throws UsageError for anything else */
function number(env: Environment, name: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  const text = env[name] ?? "";
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `of ${least} or more` : `from ${least} to ${most}`;
  throw new UsageError(`Expected integer ${range} for the environment variable ${name} but received ${shown(text)}`);
}
