import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { availableMemory } from "./memory.js";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "memory-"));
  write("proc/meminfo", "MemTotal:  8000 kB\nMemAvailable:  4000 kB\n");
});
afterEach(() => rmSync(root, { recursive: true }));

function write(name: string, text: string): void {
  mkdirSync(dirname(join(root, name)), { recursive: true });
  writeFileSync(join(root, name), text);
}

describe("the memory that a process may still take", () => {
  it("is the machine's where no control group has a limit", () => {
    expect(availableMemory(root)).toBe(4000 * 1024);
    write("proc/self/cgroup", "0::/user.slice\n");
    write("sys/fs/cgroup/user.slice/memory.max", "max\n");
    write("sys/fs/cgroup/user.slice/memory.current", "1000\n");
    expect(availableMemory(root)).toBe(4000 * 1024);
  });

  it("is what the control group leaves, file pages counted as free", () => {
    write("proc/self/cgroup", "0::/\n");
    write("sys/fs/cgroup/memory.max", "1000000\n");
    write("sys/fs/cgroup/memory.high", "max\n");
    write("sys/fs/cgroup/memory.current", "700000\n");
    write("sys/fs/cgroup/memory.stat", "anon 500000\ninactive_file 150000\nactive_file 50000\n");
    expect(availableMemory(root)).toBe(450_000);
    write("sys/fs/cgroup/memory.high", "800000\n");
    expect(availableMemory(root)).toBe(250_000);
  });

  it("is that of the tightest group above", () => {
    write("proc/self/cgroup", "0::/pod/container\n");
    write("sys/fs/cgroup/pod/container/memory.max", "max\n");
    write("sys/fs/cgroup/pod/container/memory.current", "10\n");
    write("sys/fs/cgroup/pod/memory.max", "3000\n");
    write("sys/fs/cgroup/pod/memory.current", "1000\n");
    expect(availableMemory(root)).toBe(2000);
  });

  it("is read from the first version of control groups, too, and never negative", () => {
    write("proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/box\n0::/\n");
    write("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "5000\n");
    write("sys/fs/cgroup/memory/box/memory.usage_in_bytes", "2000\n");
    write("sys/fs/cgroup/memory/box/memory.stat", "total_inactive_file 500\n");
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    write("sys/fs/cgroup/memory/memory.usage_in_bytes", "900000\n");
    expect(availableMemory(root)).toBe(3500);
    write("sys/fs/cgroup/memory/box/memory.usage_in_bytes", "6000\n");
    expect(availableMemory(root)).toBe(0);
  });
});
