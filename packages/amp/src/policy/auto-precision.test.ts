import { describe, expect, it } from "vitest";
import { PrecisionError } from "../errors.js";
import { autoTable, precisionsOf, resolvePrecision } from "./auto-precision.js";
import { cpuMatrixUnits, type Hardware, parseCpuFlags, readHardware } from "./hardware.js";

const machine = (changes: Partial<Hardware>): Hardware => ({
  device: "cpu",
  name: "some machine",
  cores: 2,
  memoryBytes: 8e9,
  bf16: false,
  fp16: false,
  kernels: false,
  features: [],
  capability: "AVX2",
  ...changes,
});

describe("auto", () => {
  const withAmx: Partial<Hardware> = { bf16: true, features: ["avx512_bf16", "amx_bf16"] };

  it.each([
    ["CUDA GPU with bfloat16 units", { device: "cuda", bf16: true, fp16: true }, "bf16-mixed"],
    ["older CUDA GPU", { device: "cuda", fp16: true }, "16-mixed"],
    ["Apple GPU (MPS)", { device: "mps", fp16: true }, "16-mixed"],
    ["CPU with amx_bf16", withAmx, "bf16-mixed"],
    ["CPU with avx512_bf16, or an ARM CPU with bf16 and i8mm", { bf16: true }, "bf16-mixed"],
    ["CPU with AVX2 and FMA", { kernels: true }, "bf16-mixed"],
    ["any other CPU", {}, "32-true"],
  ] as const)("on a %s", (hardware, facts, precision) => {
    const resolved = resolvePrecision("auto", machine(facts));
    expect(resolved.precision).toBe(precision);
    expect(resolved.reason).toBe(autoTable.find((row) => row.hardware === hardware)?.reason);
    expect(resolvePrecision(true, machine(facts))).toEqual(resolved);
  });

  it("amp: false and null are 32-true everywhere", () => {
    for (const off of [false, null])
      expect(resolvePrecision(off, machine({ device: "cuda", bf16: true })).precision).toBe("32-true");
  });
});

describe("a precision asked for by name", () => {
  it("is taken, with a note where the hardware does not suit it", () => {
    expect(resolvePrecision("16-mixed", machine({ fp16: true }))).toEqual({
      precision: "16-mixed",
      reason: "as requested",
      note: null,
    });
    expect(resolvePrecision("16-mixed", machine({})).note).toMatch(
      /as a tensor core computes them.* slower than 32-true and needs more memory/,
    );
    expect(resolvePrecision("bf16-mixed", machine({})).note).toMatch(/no bfloat16 matrix units/);
    expect(resolvePrecision("32-true", machine({})).note).toBeNull();
  });

  it("is tf32 on an NVIDIA GPU that has it, and refused elsewhere", () => {
    const ampere = machine({ device: "cuda", bf16: true, fp16: true });
    expect(resolvePrecision("tf32", ampere)).toEqual({ precision: "tf32", reason: "as requested", note: null });
    expect(precisionsOf(ampere)).toContain("tf32");
    const turing = machine({ device: "cuda", name: "Tesla T4", fp16: true });
    expect(() => resolvePrecision("tf32", turing)).toThrow(
      "Expected an NVIDIA GPU of compute capability 8.0 or above for precision tf32 but received Tesla T4, which has no TF32 units: choose one of 32-true, bf16-mixed, 16-mixed",
    );
    expect(() => resolvePrecision("tf32", machine({ bf16: true }))).toThrow(PrecisionError);
    expect(precisionsOf(machine({}))).toEqual(["32-true", "bf16-mixed", "16-mixed"]);
  });

  it("must be a known one", () => {
    expect(() => resolvePrecision("fp16" as "16-mixed", machine({}))).toThrow(PrecisionError);
    expect(() => resolvePrecision("fp16" as "16-mixed", machine({}))).toThrow(
      "Expected one of auto, 32-true, tf32, bf16-mixed, 16-mixed for precision but received fp16 of type string",
    );
  });
});

describe("hardware facts", () => {
  it("are read from the flags line", () => {
    expect(parseCpuFlags("processor\t: 0\nflags\t\t: fpu avx2 avx512_bf16\nbugs\t\t:\n")).toEqual([
      "fpu",
      "avx2",
      "avx512_bf16",
    ]);
    expect(parseCpuFlags("Features\t: fp asimd bf16 i8mm")).toEqual(["fp", "asimd", "bf16", "i8mm"]);
    expect(parseCpuFlags("")).toEqual([]);
  });
  it("tell whether there are matrix units for bfloat16 and float16", () => {
    expect(cpuMatrixUnits(["avx512_bf16"])).toEqual({ bf16: true, fp16: false });
    expect(cpuMatrixUnits(["amx_tile", "amx_fp16"])).toEqual({ bf16: false, fp16: true });
    expect(cpuMatrixUnits(["avx512f", "f16c"])).toEqual({ bf16: false, fp16: false });
  });
  it("of this machine are there", () => {
    const here = readHardware("cpu");
    expect(here.cores).toBeGreaterThan(0);
    expect(here.capability).not.toBe("");
  });
});
