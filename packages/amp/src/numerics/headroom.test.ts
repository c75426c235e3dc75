import { describe, expect, it } from "vitest";
import { headroomOf } from "./headroom.js";

const module = (amax: number, first = 0, counts: number[] = []) => ({ amax, exponents: { first, counts } });

describe("headroom", () => {
  it("to overflow is the distance of the largest value to that of the dtype, in bits", () => {
    expect(headroomOf(module(65504)).fp16.overflow).toBe(0);
    expect(headroomOf(module(65504 / 8)).fp16.overflow).toBe(3);
    expect(headroomOf(module(65504 * 2)).fp16.overflow).toBe(-1);
    expect(headroomOf(module(1)).bf16.overflow).toBeCloseTo(128, 1);
  });

  it("to overflow is none where a value is not finite, and endless where all are zero", () => {
    expect(headroomOf(module(Number.NaN)).fp16.overflow).toBe(Number.NEGATIVE_INFINITY);
    expect(headroomOf(module(Number.POSITIVE_INFINITY)).fp16.overflow).toBe(Number.NEGATIVE_INFINITY);
    expect(headroomOf(module(0))).toEqual({
      fp16: { overflow: Number.POSITIVE_INFINITY, underflow: Number.POSITIVE_INFINITY },
      bf16: { overflow: Number.POSITIVE_INFINITY, underflow: Number.POSITIVE_INFINITY },
    });
  });

  it("to underflow leaves one value of a hundred below", () => {
    // One value of 2⁻²⁰ in a hundred does not count; two do.
    expect(headroomOf(module(1, -20, [1, ...Array(19).fill(0), 99])).fp16.underflow).toBe(14);
    expect(headroomOf(module(1, -20, [2, ...Array(19).fill(0), 98])).fp16.underflow).toBe(-6);
    expect(headroomOf(module(1, -20, [2, ...Array(19).fill(0), 98])).bf16.underflow).toBe(106);
  });

  it("of gradients without the loss scale has more room above and less below", () => {
    const scaled = module(2 ** 15, -4, [10]);
    const { overflow, underflow } = headroomOf(scaled).fp16;
    expect(headroomOf(scaled, 1024).fp16).toEqual({ overflow: overflow + 10, underflow: underflow - 10 });
  });
});
