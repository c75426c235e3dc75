import type { Hardware } from "@rfdetr/amp";
import { describe, expect, it } from "vitest";
import { resolveTrained } from "./trained-precision.js";

const cpu: Hardware = {
  device: "cpu",
  name: "some machine",
  cores: 2,
  memoryBytes: 8e9,
  bf16: false,
  fp16: false,
  kernels: false,
  features: [],
  capability: "AVX2",
};
const machines = {
  plain: cpu,
  units: { ...cpu, bf16: true, kernels: true },
  ampere: { ...cpu, device: "cuda", bf16: true, fp16: true },
  turing: { ...cpu, device: "cuda", fp16: true },
} as const;

describe("auto for the weights of a run", () => {
  it.each([
    ["32-true", "ampere", "32-true"],
    ["tf32", "ampere", "tf32"],
    ["bf16-mixed", "units", "bf16-mixed"],
    ["16-mixed", "turing", "16-mixed"],
    ["16-mixed", "ampere", "16-mixed"],
  ] as const)("trained in %s is that on a device with units for it: %s", (precision, machine, expected) => {
    expect(resolveTrained("auto", { precision }, machines[machine])).toMatchObject({
      precision: expected,
      reason: "the weights were trained in it",
      note: null,
    });
  });

  it.each([
    ["tf32", "units", "32-true"],
    ["bf16-mixed", "plain", "32-true"],
    ["bf16-mixed", "turing", "16-mixed"],
    ["16-mixed", "units", "bf16-mixed"],
    ["16-mixed", "plain", "32-true"],
  ] as const)("trained in %s is something else on another device, and said: %s, %s", (precision, machine, expected) => {
    const resolved = resolveTrained(true, { precision }, machines[machine]);
    expect(resolved.precision).toBe(expected);
    expect(resolved.note).toMatch(`trained in ${precision}, which this device has no units for: ${expected} is used`);
  });

  it("is what fits the device where nobody knows how they were trained", () => {
    expect(resolveTrained("auto", { precision: null }, machines.units).precision).toBe("bf16-mixed");
  });
});

it("a precision asked for by name counts more than that of the training", () => {
  expect(resolveTrained("32-true", { precision: "bf16-mixed" }, machines.units)).toMatchObject({
    precision: "32-true",
    note: null,
  });
  expect(resolveTrained(false, { precision: "16-mixed" }, machines.turing).precision).toBe("32-true");
});
