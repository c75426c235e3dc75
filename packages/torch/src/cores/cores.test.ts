import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { usableCores } from "./index.js";

let root = "";
/** A `/` with these files. */
function made(files: Record<string, string>): string {
  root = mkdtempSync(join(tmpdir(), "cores-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}
afterEach(() => rmSync(root, { recursive: true, force: true }));

const status = (list: string) => ({
  "proc/self/status": `Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t${list}\n`,
});
const v1 = (folder: string, quota: number, period = 100_000) => ({
  [join("sys/fs/cgroup/cpu", folder, "cpu.cfs_quota_us")]: `${quota}\n`,
  [join("sys/fs/cgroup/cpu", folder, "cpu.cfs_period_us")]: `${period}\n`,
});
const inV1 = { "proc/self/cgroup": "3:cpuset:/\n1:cpu,cpuacct:/jobs/one\n0::/\n" };
const inV2 = { "proc/self/cgroup": "0::/jobs/one\n" };

describe("the cores that a process may use", () => {
  it("are those of its affinity without a quota", () => {
    expect(usableCores(made(status("0-3,8,10-11")))).toEqual({
      threads: 7,
      allowed: 7,
      quota: null,
      reason: "7 cores to run on",
    });
    expect(usableCores(made(status("5")))).toMatchObject({ threads: 1, reason: "1 core to run on" });
  });

  it("are limited by the least quota of a group and of those above it", () => {
    const files = {
      ...status("0-7"),
      ...inV1,
      ...v1("jobs/one", 400_000),
      ...v1("jobs", 75_000, 50_000),
      ...v1("", -1),
    };
    expect(usableCores(made(files))).toEqual({ threads: 2, allowed: 8, quota: 1.5, reason: "a quota of 1.5 cores" });
  });

  it("are limited by quotas of version 2, where max is none", () => {
    const max = (one: string, above: string) => ({
      ...status("0-7"),
      ...inV2,
      "sys/fs/cgroup/jobs/one/cpu.max": `${one}\n`,
      "sys/fs/cgroup/jobs/cpu.max": `${above}\n`,
    });
    expect(usableCores(made(max("max 100000", "300000 100000")))).toMatchObject({ threads: 3, quota: 3 });
    expect(usableCores(made(max("20000 100000", "max 100000")))).toMatchObject({ threads: 1, quota: 0.2 });
    expect(usableCores(made(max("max 100000", "max 100000")))).toMatchObject({ threads: 8, quota: null });
  });

  it("stay those of its affinity where a quota is larger, or its files are missing", () => {
    expect(usableCores(made({ ...status("0-1"), ...inV1, ...v1("jobs/one", 800_000) }))).toMatchObject({
      threads: 2,
      quota: 8,
      reason: "2 cores to run on",
    });
    expect(usableCores(made({ ...status("0-1"), ...inV1 }))).toMatchObject({ threads: 2, quota: null });
  });

  it("are what Node reports where the system says nothing", () => {
    expect(usableCores(made({ "etc/none": "" })).threads).toBe(availableParallelism());
  });
});
