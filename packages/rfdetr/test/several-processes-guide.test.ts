// The examples of docs/several-processes.md that need a cluster: their form, and the places that they give.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { readRankPlace } from "../src/run/launch/rank-place.js";

const guide = readFileSync(new URL("../../../docs/several-processes.md", import.meta.url), "utf8");
/** The first fenced block of a kind in a section. */
const block = (section: string, kind: string): string => {
  const text = guide.slice(guide.indexOf(`\n## ${section}\n`));
  return new RegExp(`\`\`\`${kind}\\n([\\s\\S]*?)\n\`\`\``).exec(text)?.[1] ?? "";
};

const quantity = z.string().regex(/^\d+(\.\d+)?(m|[KMGT]i?)?$/);
const dnsLabel = z.string().regex(/^[a-z]([-a-z0-9]*[a-z0-9])?$/);
const path = z.string().startsWith("/");
const container = z.strictObject({
  // The operator fills in its port and its variables for a container of this name.
  name: z.literal("pytorch"),
  image: z.string().min(1),
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).optional(),
  env: z.array(z.strictObject({ name: z.string(), value: z.string() })).optional(),
  resources: z.strictObject({
    limits: z.record(z.string(), quantity),
    requests: z.record(z.string(), quantity).optional(),
  }),
  volumeMounts: z.array(z.strictObject({ name: dnsLabel, mountPath: path, readOnly: z.boolean().optional() })),
});
const replica = z.strictObject({
  replicas: z.number().int().positive(),
  restartPolicy: z.enum(["Always", "OnFailure", "Never", "ExitCode"]),
  template: z.strictObject({
    spec: z.strictObject({
      terminationGracePeriodSeconds: z.number().int().positive().optional(),
      containers: z.array(container).length(1),
      volumes: z.array(
        z.strictObject({
          name: dnsLabel,
          persistentVolumeClaim: z.strictObject({ claimName: dnsLabel, readOnly: z.boolean().optional() }),
        }),
      ),
    }),
  }),
});
/** What the definition of kubeflow.org/v1 PyTorchJob has of what the guide uses, and nothing else. */
const pyTorchJob = z.strictObject({
  apiVersion: z.literal("kubeflow.org/v1"),
  kind: z.literal("PyTorchJob"),
  metadata: z.strictObject({ name: dnsLabel, namespace: dnsLabel.optional() }),
  spec: z.strictObject({
    runPolicy: z
      .strictObject({
        activeDeadlineSeconds: z.number().int().optional(),
        backoffLimit: z.number().int().optional(),
        cleanPodPolicy: z.enum(["Running", "All", "None"]).optional(),
        suspend: z.boolean().optional(),
        ttlSecondsAfterFinished: z.number().int().optional(),
      })
      .optional(),
    nprocPerNode: z.string().optional(),
    pytorchReplicaSpecs: z.strictObject({ Master: replica.extend({ replicas: z.literal(1) }), Worker: replica }),
  }),
});

describe("the manifest for Kubernetes", () => {
  const job = pyTorchJob.parse(parse(block("Kubernetes", "yaml")));
  const { Master, Worker } = job.spec.pytorchReplicaSpecs;

  it("mounts only volumes that it has", () => {
    for (const { containers, volumes } of [Master.template.spec, Worker.template.spec])
      expect(volumes.map(({ name }) => name)).toEqual(
        expect.arrayContaining(containers[0]?.volumeMounts.map(({ name }) => name) ?? []),
      );
  });

  it("has the operator give every pod a place of its own", () => {
    const size = Master.replicas + Worker.replicas;
    const places = Array.from({ length: size }, (_, rank) =>
      readRankPlace(
        {
          PYTHONUNBUFFERED: "1",
          MASTER_ADDR: `${job.metadata.name}-master-0`,
          MASTER_PORT: "23456",
          PET_NNODES: String(size),
          PET_NODE_RANK: String(rank),
          PET_MASTER_PORT: "23456",
          WORLD_SIZE: String(size),
          RANK: String(rank),
        },
        600,
      ),
    );
    expect(places.map((launched) => launched?.place)).toMatchObject(
      places.map((_, rank) => ({ rank, size, localRank: 0, localSize: 1, address: "birds-master-0", port: 23_456 })),
    );
  });

  it("runs a script that a shell can read", () => {
    const [script = ""] = Master.template.spec.containers[0]?.args ?? [];
    expect(spawnSync("sh", ["-n"], { input: script, encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" });
  });
});

describe("the script for SLURM", () => {
  const script = block("SLURM", "sh");

  it("is one that bash can read, whose words sbatch knows", () => {
    expect(spawnSync("bash", ["-n"], { input: script, encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" });
    const known = /^#SBATCH --(job-name|nodes|ntasks-per-node|gpus-per-node|cpus-per-task|time|signal|requeue)(=\S+)?$/;
    for (const line of script.split("\n").filter((each) => each.startsWith("#SBATCH"))) expect(line).toMatch(known);
  });

  it("has srun give every task a place of its own", () => {
    const places = Array.from({ length: 8 }, (_, rank) =>
      readRankPlace(
        {
          SLURM_JOB_ID: "12",
          SLURM_STEP_ID: "0",
          SLURM_JOB_NODELIST: "gpu[3-4]",
          SLURM_NTASKS: "8",
          SLURM_PROCID: String(rank),
          SLURM_LOCALID: String(rank % 4),
          SLURM_NODEID: String(Math.floor(rank / 4)),
          SLURM_TASKS_PER_NODE: "4(x2)",
          SLURM_CPUS_PER_TASK: "8",
        },
        600,
      ),
    );
    expect(places.map((launched) => launched?.place)).toMatchObject(
      places.map((_, rank) => ({ rank, size: 8, localRank: rank % 4, localSize: 4, address: "gpu3" })),
    );
  });
});
