import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { arch, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { findCompiler } from "../setup/compile.mjs";
import { ownFlags } from "../setup/sources.mjs";
import { engine } from "../src/index.js";

const torch = fileURLToPath(new URL("..", import.meta.url));
const pairs = ["gemm_avx512", "gemm_amx", "pack_avx512", "attention_avx512", "attention_amx"];
const vectors = ["gemm_f32_avx2", "gemm_f32_avx512"];
const attention = ["attention_f32_baseline", "attention_f32_avx2", "attention_f32_avx512"];
const kernels = [...pairs, ...vectors, ...attention, "isa"].map((name) => `native/kernels/${name}.cc`);
const tests = ["main.cc", "packing.cc", "products.cc", "attention.cc"].map((name) => `test/kernels/${name}`);
const common = ["-std=c++20", "-O1", "-Wno-psabi", "-Inative"];

/** Compiles the kernels and their tests, runs them, and gives what each test says. */
async function run(folder: string, flagsOf: (source: string) => string[]): Promise<Record<string, string>> {
  const [compiler = "g++"] = findCompiler() ?? [];
  const objects = await Promise.all(
    [...kernels, ...tests].map(async (source) => {
      const object = join(folder, `${basename(source)}.${source.startsWith("test") ? "test" : "kernel"}.o`);
      await promisify(execFile)(compiler, [...common, ...flagsOf(source), "-c", source, "-o", object], { cwd: torch });
      return object;
    }),
  );
  const program = join(folder, "kernels");
  await promisify(execFile)(compiler, [...objects, "-o", program]);
  const { stdout } = spawnSync(program, { encoding: "utf8" });
  return Object.fromEntries(
    stdout
      .trim()
      .split("\n")
      .map((line) => line.split("\t")),
  );
}

const hasInstructions = (name: "avx2" | "avx512_bf16") =>
  readFileSync("/proc/cpuinfo", "utf8").split(/\s+/).includes(name);

// The intrinsics belong to x86-64; elsewhere these files are no part of the addon.
describe.runIf(arch() === "x64")("the kernels of products and of attention", () => {
  const folder = mkdtempSync(join(tmpdir(), "kernels-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const inTiles = {
    "amx_bf16: pack_left": "ok",
    "amx_bf16: multiply_packed": "ok",
    "amx_bf16: attention of any length": "ok",
  };
  const others = {
    "avx512_bf16: pack_transposed": "ok",
    "avx512_bf16: multiply_packed": "ok",
    "avx512_bf16: gelu and its derivative, of every bfloat16 value": "ok",
    "avx512: multiply_packed": "ok",
    split_rows: "ok",
    "avx512_bf16: attention of any length": "ok",
    "baseline in float32: attention of any length": "ok",
    "avx512 in float32: attention of any length": "ok",
    "avx512 in bfloat16: attention of any length": "ok",
  };

  it("give what scalar code gives, with the instructions of AVX-512 emulated", async () => {
    const emulation = ["-ffp-contract=off", "-DEMULATED", "-Itest/kernels/emulated"];
    // These are in vector extensions, which a compiler makes of any instructions.
    const wide = (source: string) =>
      source.endsWith("_f32_avx512.cc") ? ["-D__AVX512F__"] : source.endsWith("_amx.cc") ? ["-D__AMX_BF16__"] : [];
    const avx2 = hasInstructions("avx2") ? ["-mavx2", "-mfma", "-mf16c"] : [];
    const own = (source: string) => (source.endsWith("_baseline.cc") ? [] : avx2);
    const results = await run(folder, (source) => [...emulation, ...wide(source), ...own(source)]);
    expect(Object.entries(results).filter(([, result]) => result !== "ok")).toEqual([]);
    expect(results).toEqual(expect.objectContaining({ ...others, ...inTiles }));
  });

  it.runIf(arch() === "x64" && hasInstructions("avx512_bf16"))(
    "give the same on this CPU, which has the instructions",
    async () => {
      const results = await run(folder, (source) => ownFlags(readFileSync(join(torch, source), "utf8")));
      expect(Object.entries(results).filter(([, result]) => result !== "ok")).toEqual([]);
      // Linux may keep the matrix units from a process: then the kernels take none.
      const all = engine().kernels === "amx" ? { ...others, ...inTiles } : others;
      expect(results).toEqual(expect.objectContaining(all));
    },
  );
});
