import { memory, nn, ops, randn, resetPeakMemory, scope, type Tensor, tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { Autocast } from "../autocast/autocast.js";
import type { Precision } from "../names.js";
import { calibrate, roundsFor } from "./calibrate.js";
import type { CalibratedPrecision } from "./calibrated-precision.js";
import { compareModules, worstModules } from "./compare-modules.js";
import { recommend, roundsDisagree } from "./recommend.js";

class Dropout extends nn.Module {
  override forward(x: Tensor): Tensor {
    return this.training ? ops.dropout(x, 0.5, true) : x;
  }
}

class Net extends nn.Module {
  first = new nn.Linear(16, 32);
  dropout = new Dropout();
  second = new nn.Linear(32, 4);
  override forward(x: Tensor): Tensor {
    return this.second.call(this.dropout.call(ops.gelu(this.first.call(x) as Tensor))) as Tensor;
  }
}
const net = new Net();
const images = randn([8, 16]);
const forward = (autocast: Autocast, dtype: "float32" | "float64" | string): Tensor =>
  autocast.run(() => net.call(images.to(dtype)) as Tensor);
const task = {
  model: net,
  forward,
  step: (autocast: Autocast, dtype: string, scale: number): number => {
    const y = forward(autocast, dtype);
    const loss = (y.dtype === "float64" ? y : y.float()).pow(2).mean();
    loss.mul(scale).backward();
    return loss.item();
  },
  autocast: (precision: Precision) => new Autocast(precision, { emulateFloat16: true }),
  rounds: 1,
};

/** Pairs rows, by their rank, with weights of each rank. Scores near 100 are half a unit apart in bfloat16, and tie. */
class Ranking extends nn.Module {
  table = new nn.Linear(64, 64);
  score = new nn.Linear(64, 1);
  weights = new nn.Embedding(32, 64);
  override forward(x: Tensor): Tensor {
    const hidden = this.table.call(x) as Tensor;
    const [, places] = ops.topk(this.score.call(x).detach().add(100).squeeze(-1), 32);
    return ops.embedding(hidden, places).mul(this.weights.weight);
  }
}
const ranking = new Ranking();
const candidates = randn([64, 64]);
const ranked = {
  ...task,
  model: ranking,
  forward: (autocast: Autocast, dtype: string) => autocast.run(() => ranking.call(candidates.to(dtype))),
  step: (autocast: Autocast, dtype: string, scale: number): number => {
    const y = autocast.run(() => ranking.call(candidates.to(dtype))) as Tensor;
    const loss = y.pow(2).sum().add(y.sum());
    loss.mul(scale).backward();
    return loss.item();
  },
};
describe("calibration", () => {
  it("measures every precision on the same batch and dropout", () => {
    const before = net.first.weight.toList();
    const { exact, precisions } = calibrate(task);
    expect(precisions.map((p) => p.precision)).toEqual(["32-true", "bf16-mixed", "16-mixed"]);
    const [plain, bf16, fp16] = precisions;
    // Float32 keeps 24 bits, float16 11, bfloat16 8; a short chain of products loses two or three of them.
    expect(plain.loss_error).toBeLessThan(1e-6);
    expect(fp16.loss_error).toBeLessThan(5e-3);
    expect(bf16.loss_error).toBeLessThan(4e-2);
    expect(1 - plain.gradient_cosine).toBeLessThan(1e-9);
    expect(1 - fp16.gradient_cosine).toBeLessThan(1e-4);
    expect(1 - bf16.gradient_cosine).toBeLessThan(1e-2);
    expect(exact.gradient_norm).toBeGreaterThan(0);
    expect([plain.speedup, plain.memory_ratio, plain.underflow_share]).toEqual([1, 1, 0]);
    expect(new Set(bf16.modules.map((m) => m.path))).toEqual(new Set(["first", "(model)", "dropout", "second"]));
    expect(net.first.weight.toList()).toEqual(before);
    expect(net.first.weight.dtype).toBe("float32");
    expect(net.parameters().every((p) => p.grad === null)).toBe(true);
  });

  it("lowers the loss scale until float16 gradients are finite", () => {
    const big = {
      ...task,
      step: (autocast: Autocast, dtype: string, scale: number) => task.step(autocast, dtype, scale * 2 ** 10),
    };
    const fp16 = calibrate(big).precisions[2];
    expect(fp16.nonfinite).toBe(false);
    expect(fp16.scale).toBeLessThan(65536);
  });

  it("has the speed-ups of single rounds around that of the medians", () => {
    const { precisions } = calibrate({ ...task, rounds: 3 });
    expect(precisions[0].speedup_range).toEqual([1, 1]);
    for (const { speedup, speedup_range: range } of precisions) {
      expect(range[0]).toBeLessThanOrEqual(speedup);
      expect(range[1]).toBeGreaterThanOrEqual(speedup);
    }
  });

  it("tries only what it is asked to", () => {
    expect(calibrate({ ...task, precisions: ["bf16-mixed"] }).precisions.map((p) => p.precision)).toEqual([
      "32-true",
      "bf16-mixed",
    ]);
  });

  it("separates rounding from choices among values that are nearly equal", () => {
    const [plain, bf16] = calibrate(ranked).precisions;
    const shares = [plain, bf16].map(({ choices: [topk] }) => topk.same / topk.places);
    expect(shares[0]).toBe(1);
    expect(shares[1]).toBeLessThan(0.5);
    expect(bf16.gradient_cosine).toBeLessThan(0.9);
    expect(1 - bf16.rounding_cosine).toBeLessThan(1e-4);
    expect([plain.gradient_cosine, plain.rounding_cosine].map((x) => Math.abs(1 - x) < 1e-9)).toEqual([true, true]);
  });

  it("leaves no tensors behind, and counts none of its own as memory of the step", () => {
    calibrate(task);
    const before = memory().liveTensors;
    const { precisions } = calibrate(ranked);
    expect(memory().liveTensors).toBe(before);
    resetPeakMemory();
    for (const p of ranking.parameters()) p.grad = null;
    scope(() => void ranked.step(new Autocast("32-true"), "float32", 1));
    for (const p of ranking.parameters()) p.grad = null;
    // What it keeps are 5 kB, the state of the random generator. Exact gradients would add an eighth.
    expect(precisions[0].peak_tensor_bytes / memory().peakBytes).toBeLessThan(1.03);
  });
});

describe("recommendation", () => {
  const row = (
    precision: CalibratedPrecision["precision"],
    changes: Partial<CalibratedPrecision> = {},
  ): CalibratedPrecision => ({
    precision,
    step_seconds: 1,
    speedup: 1,
    speedup_range: [changes.speedup ?? 1, changes.speedup ?? 1],
    peak_tensor_bytes: 1,
    memory_ratio: 1,
    loss: 1,
    loss_error: 0,
    gradient_cosine: 1,
    rounding_cosine: 1,
    choices: [],
    nonfinite: false,
    scale: 1,
    underflow_share: 0,
    modules: [],
    ...changes,
  });
  const best = (...rows: CalibratedPrecision[]) => recommend([row("32-true"), ...rows]);
  it("is the fastest that is right", () => {
    expect(best(row("bf16-mixed", { speedup: 2 }), row("16-mixed", { speedup: 3 })).precision).toBe("16-mixed");
    expect(best(row("bf16-mixed", { speedup: 2 }), row("16-mixed", { speedup: 3, nonfinite: true })).precision).toBe(
      "bf16-mixed",
    );
    expect(best(row("bf16-mixed", { speedup: 2, rounding_cosine: 0.5 }))).toEqual({
      undecided: false,
      precision: "32-true",
      reason: "measured here: bf16-mixed changes the direction of the gradient (cosine 0.50000)",
    });
  });
  it("goes by rounding, and not by choices among values that are nearly equal, and says both to the table's digits", () => {
    const choices = [{ path: "ranking", operator: "topk", places: 4, same: 2 }];
    const cosines = { rounding_cosine: 0.99998, gradient_cosine: 0.9982 };
    expect(best(row("bf16-mixed", { speedup: 2, ...cosines, choices })).reason).toBe(
      "measured here: 2.00 times as fast as 32-true with 100 % of its peak tensor memory; its gradient agrees with the exact one (cosine 0.99998 at the same choices, 0.99820 with its own)",
    );
    expect(best(row("bf16-mixed", { speedup: 2, rounding_cosine: 0.9796, gradient_cosine: 0.5, choices })).reason).toBe(
      "measured here: bf16-mixed changes the direction of the gradient (cosine 0.97960 at the same choices, 0.50000 with its own)",
    );
  });
  it("is 32-true where low precision gains nothing", () => {
    expect(best(row("bf16-mixed", { speedup: 0.6 }))).toEqual({
      undecided: false,
      precision: "32-true",
      reason: "measured here: no low precision is worth it; bf16-mixed runs at 0.60 times the speed",
    });
  });
  it("takes memory for a reason too", () => {
    expect(best(row("bf16-mixed", { speedup: 1, memory_ratio: 0.6 })).precision).toBe("bf16-mixed");
  });
  it("keeps the default where single rounds have it worth it, and says how far they scatter", () => {
    const busy = row("bf16-mixed", { speedup: 0.79, speedup_range: [0.66, 0.97], memory_ratio: 0.73 });
    const other = row("16-mixed", { speedup: 1.2, speedup_range: [0.9, 1.3] });
    expect(recommend([row("32-true"), busy], "bf16-mixed")).toEqual({
      undecided: true,
      precision: "bf16-mixed",
      reason:
        "measured here, but rounds disagree: 0.79 (0.66 to 0.97 by round) times as fast as 32-true with 73 % of its peak tensor memory; its gradient agrees with the exact one (cosine 1.00000)",
    });
    expect(recommend([row("32-true"), busy, other], "bf16-mixed").precision).toBe("bf16-mixed");
    expect(best(busy).precision).toBe("32-true");
  });
  it("is undecided only where rounds scatter widely and disagree on whether a precision is worth it", () => {
    const undecided = (...range: [number, number]) =>
      best(row("bf16-mixed", { speedup: 1, speedup_range: range, memory_ratio: 0.8 })).undecided;
    expect(undecided(0.63, 1.49)).toBe(true);
    expect([undecided(0.94, 1.05), undecided(0.96, 1.6)]).toEqual([false, false]);
    const wrong = row("bf16-mixed", { speedup_range: [0.63, 1.49], nonfinite: true });
    expect(best(wrong).undecided).toBe(false);
  });
  it("judges any claim about a speed so", () => {
    const faster = (speedup: number) => speedup > 1.1;
    const rounds = (...speedup_range: [number, number]) => roundsDisagree({ speedup: 1, speedup_range }, faster);
    expect([rounds(0.7, 1.4), rounds(0.7, 1.1), rounds(1, 1.2), rounds(1.2, 2)]).toEqual([true, false, false, false]);
  });
  it("leaves the default where every round has another faster, or the default not worth it", () => {
    const slow = row("bf16-mixed", { speedup: 0.8, speedup_range: [0.78, 0.81], memory_ratio: 0.7 });
    expect(recommend([row("32-true"), slow], "bf16-mixed").precision).toBe("32-true");
    const even = row("bf16-mixed", { speedup: 1, speedup_range: [0.95, 1.05], memory_ratio: 0.6 });
    const fast = row("16-mixed", { speedup: 2, speedup_range: [1.9, 2.1] });
    expect(recommend([row("32-true"), even, fast], "bf16-mixed").precision).toBe("16-mixed");
    const broken = row("bf16-mixed", { speedup: 2, nonfinite: true });
    expect(recommend([row("32-true"), broken], "bf16-mixed").precision).toBe("32-true");
  });
});

it("short steps are measured in more rounds", () => {
  expect([0.001, 0.4, 0.5, 1, 30].map(roundsFor)).toEqual([9, 5, 4, 3, 3]);
});

it("modules are compared by their own outputs", () => {
  scope(() => {
    net.eval();
    const same = compareModules(
      () => forward(new Autocast("32-true"), "float32"),
      () => forward(new Autocast("32-true"), "float32"),
    );
    expect(same.map((m) => m.relative_error)).toEqual(same.map(() => 0));
    const half = compareModules(
      () => forward(new Autocast("32-true"), "float32"),
      () => forward(new Autocast("bf16-mixed"), "float32"),
    );
    // One rounding of operands and result to 8 bits: between 2⁻¹⁰ and 2⁻⁶.
    for (const { relative_error } of half) expect(Math.log2(relative_error)).toBeGreaterThan(-10);
    for (const { relative_error } of half) expect(Math.log2(relative_error)).toBeLessThan(-6);
    net.train();
  });
});

it("modules after one that calls another number of operators are compared all the same", () => {
  class Twice extends nn.Module {
    again = false;
    override forward(x: Tensor): Tensor {
      return this.again ? ops.tanh(ops.gelu(x)) : ops.gelu(x);
    }
  }
  class Pair extends nn.Module {
    first = new Twice();
    second = new Twice();
    override forward(x: Tensor): Tensor {
      return this.second.call(x.add(this.first.call(x).mul(0)));
    }
  }
  const pair = new Pair();
  const run = (again: boolean) => () => {
    pair.first.again = again;
    pair.call(tensor([3, 1]));
  };
  const errors = compareModules(run(false), run(true));
  expect(errors.map(({ path, relative_error }) => [path, relative_error])).toEqual([
    ["first", 0],
    ["(model)", 0],
    ["second", 0],
  ]);
});

it("the worst modules are ten, and the worst of each part that has none among them", () => {
  const error = (path: string, relative_error: number) => ({ path, relative_error, amax: 1 });
  const many = Array.from({ length: 12 }, (_, i) => error(`encoder.${i}`, 12 - i));
  const errors = [error("head.0", 0.25), error("head.1", 0.5), ...many, error("norm", Number.NaN)];
  const paths = ["norm", ...many.slice(0, 9).map(({ path }) => path), "head.1"];
  expect(worstModules(errors).map(({ path }) => path)).toEqual(paths);
});

it("the largest value of a module stays NaN once one value is", () => {
  class Gelu extends nn.Module {
    override forward(x: Tensor): Tensor {
      return ops.gelu(x);
    }
  }
  const gelu = new Gelu();
  const [found] = compareModules(
    () => gelu.call(tensor([3, 1])),
    () => gelu.call(tensor([Number.NaN, 1])),
  );
  expect(found?.amax).toBeNaN();
});
