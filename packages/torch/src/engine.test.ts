import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { engine } from "./engine.js";

describe("instruction sets of the kernels", () => {
  const addon = fileURLToPath(new URL("../build/torch.node", import.meta.url));
  const load = (limit: string) => {
    const code = "try { console.log(require(process.argv[1]).kernelIsa()) } catch (e) { console.log(e.message) }";
    const env = { ...process.env, RFDETR_ISA: limit };
    return spawnSync(process.execPath, ["-e", code, addon], { env, encoding: "utf8" }).stdout.trim();
  };

  it("are those of the CPU, and no more than RFDETR_ISA allows", () => {
    const widest = load("");
    expect(["baseline", "avx2", "avx512"]).toContain(widest);
    expect(load("avx512")).toBe(widest);
    expect(load("avx2")).toBe(widest === "baseline" ? "baseline" : "avx2");
    expect(load("baseline")).toBe("baseline");
    if (!process.env.RFDETR_ISA) expect(engine().kernels).toBe(widest);
  });

  it("are refused under a name that is none", () => {
    expect(load("sse4")).toBe('Expected baseline, avx2 or avx512 for RFDETR_ISA but received "sse4"');
  });
});
