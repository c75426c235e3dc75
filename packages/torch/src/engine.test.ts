import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { engine } from "./engine.js";
import { missingBytes } from "./native.js";

const addon = fileURLToPath(new URL("../build/torch.node", import.meta.url));

describe("the addon", () => {
  it("is refused where its file was cut off, which would end the process", () => {
    const path = join(mkdtempSync(join(tmpdir(), "addon-")), "torch.node");
    const whole = readFileSync(addon);
    expect(missingBytes(addon)).toBe(0);
    for (const length of [64, 4096, whole.length / 2, whole.length - 1].map(Math.floor)) {
      writeFileSync(path, whole.subarray(0, length));
      expect(missingBytes(path)).toBe(whole.length - length);
    }
    writeFileSync(path, "not a library");
    expect(missingBytes(path)).toBe(0);
    rmSync(dirname(path), { recursive: true });
  });
});

describe("instruction sets of the kernels", () => {
  const load = (limit: string) => {
    const code = "try { console.log(require(process.argv[1]).kernelIsa()) } catch (e) { console.log(e.message) }";
    const env = { ...process.env, RFDETR_ISA: limit };
    return spawnSync(process.execPath, ["-e", code, addon], { env, encoding: "utf8" }).stdout.trim();
  };

  it("are those of the CPU, and no more than RFDETR_ISA allows", () => {
    const widest = load("");
    expect(["baseline", "avx2", "avx512", "amx"]).toContain(widest);
    expect(load("amx")).toBe(widest);
    expect(load("avx512")).toBe(widest === "amx" ? "avx512" : widest);
    expect(load("avx2")).toBe(widest === "baseline" ? "baseline" : "avx2");
    expect(load("baseline")).toBe("baseline");
    if (!process.env.RFDETR_ISA) expect(engine().kernels).toBe(widest);
  });

  it("are refused under a name that is none", () => {
    expect(load("sse4")).toBe('Expected baseline, avx2, avx512 or amx for RFDETR_ISA but received "sse4"');
  });
});
