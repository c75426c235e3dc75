import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  manualSeed,
  memory,
  nn,
  noGrad,
  ops,
  optim,
  randn,
  scope,
  setNumThreads,
  type Tensor,
  tensor,
} from "../index.js";

interface Golden {
  maps: { signed: string; unsigned: string };
  cases: { name: string; signed: boolean; values: string; codes: string; scales: string; decoded: string }[];
}

const golden = JSON.parse(readFileSync(new URL("./fixtures/moments.json", import.meta.url), "utf8")) as Golden;
const bytes = (text: string): Buffer => Buffer.from(text, "base64");
const floats = (text: string): Tensor =>
  tensor(new Float32Array(new Uint8Array(bytes(text)).buffer), { dtype: "float32" });
/** The bits of a tensor: NaN equals itself, and 0 does not equal -0. Of a large one their hash. */
function bits(t: Tensor): string {
  const all = Buffer.from(ops.view(t.detach().contiguous(), "uint8").toArray() as Uint8Array);
  return all.length <= 4096 ? all.toString("base64") : createHash("sha256").update(all).digest("hex");
}

describe("8-bit moments", () => {
  it("use the dynamic map of bitsandbytes and torchao, to the bit", () => {
    expect(bits(ops.dynamicMap(true)[0])).toBe(golden.maps.signed);
    expect(bits(ops.dynamicMap(false)[0])).toBe(golden.maps.unsigned);
  });

  it.each(golden.cases)("round $name as torchao does, to the bit, and read them back as bitsandbytes", (given) => {
    const coded = optim.quantize(floats(given.values), given);
    expect(bits(coded.codes)).toBe(given.codes);
    expect(bits(coded.scales)).toBe(given.scales);
    expect(bits(optim.dequantize(coded, given))).toBe(given.decoded);
  });

  it("round to the nearest value, with an error of at most half a gap", () => {
    const [map] = ops.dynamicMap(true).map((t) => t.toList() as number[]) as [number[]];
    fc.assert(
      fc.property(
        fc.array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: 1, maxLength: 600 }),
        fc.float({ min: Math.fround(1e-44), max: Math.fround(1e30), noNaN: true }),
        (list, factor) =>
          scope(() => {
            const values = tensor([1, ...list]).mul(factor);
            const { codes } = optim.quantize(values, { signed: true });
            const largest = values.abs().max().item();
            const blocks = Math.ceil((list.length + 1) / 256);
            if (blocks > 1) return;
            (codes.toList() as number[]).forEach((code, i) => {
              const scaled = Math.fround(((values.toList() as number[])[i] as number) / largest);
              const error = Math.abs(scaled - (map[code] as number));
              const best = Math.min(...map.map((value) => Math.abs(scaled - value)));
              expect(error).toBeLessThanOrEqual(best + 1e-7);
            });
          }),
      ),
      { numRuns: 30 },
    );
  });

  it("never round a second moment to zero that is not: AdamW divides by its root", () => {
    const values = tensor([1, 1e-9, 1e-30, 0]);
    const { codes } = optim.quantize(values, { signed: false });
    expect(codes.toList()).toEqual([255, 1, 1, 0]);
  });

  it("keep zeros, numbers below the normal range, and say NaN of a whole block with a value that is not finite", () => {
    const values = tensor(new Float32Array(4 * 256));
    noGrad(() => {
      values.narrow(0, 256, 256).fill_(1e-44);
      values.narrow(0, 512, 1).fill_(Number.NaN);
      values.narrow(0, 768, 1).fill_(Number.POSITIVE_INFINITY);
    });
    for (const signed of [true, false]) {
      const read = optim.dequantize(optim.quantize(values, { signed }), { signed }).toList() as number[];
      expect(read.slice(0, 256).every((value) => value === 0)).toBe(true);
      expect(read.slice(256, 512)).toEqual(values.narrow(0, 256, 256).toList());
      expect(read.slice(512).every(Number.isNaN)).toBe(true);
    }
  });
});

/** Gradients of several magnitudes, with zeros; the same for the same seed. */
function gradientOf(shape: readonly number[], step: number): Tensor {
  return scope(() =>
    randn(shape)
      .mul(randn(shape).mul(3).exp())
      .mul(10 ** -step),
  );
}

describe("AdamW with 8-bit moments", () => {
  // Odd sizes: less than a block more than a multiple, more than a piece of work, one that stays in float32.
  const shapes = [[64, 64], [4097], [7, 1025], [(1 << 16) + 513], [4095], [3]];
  const build = (moments: "float32" | "8bit", change: (p: Tensor) => Tensor = (p) => p) => {
    manualSeed(1);
    const params = shapes.map((shape) => nn.parameter(change(randn(shape))));
    const means = shapes.map((shape) => change(randn(shape)));
    const optimizer = new optim.AdamW([{ params, lr: 1e-2, weightDecay: 1e-2 }], { moments });
    return { params, optimizer, average: { of: new Map(params.map((p, i) => [p, means[i] as Tensor])), weight: 0.1 } };
  };
  type Built = ReturnType<typeof build>;
  const step = ({ params, optimizer, average }: Built, seed: number): void => {
    manualSeed(seed);
    for (const p of params) p.grad = gradientOf(p.shape, seed).to(p.dtype);
    optimizer.step({ gradientScale: 0.7, average });
  };
  const state = ({ optimizer }: Built): string[] => {
    const { expAvg, expAvgSq, expAvgScale, expAvgSqScale } = optimizer.stateDict();
    return [...expAvg, ...expAvgSq, ...expAvgScale, ...expAvgSqScale].map((t) => (t === null ? "" : bits(t)));
  };
  const results = (built: Built): string[] =>
    [...built.params, ...built.average.of.values()].map(bits).concat(state(built));

  it("updates as in float32 from the moments that the codes stand for, and rounds the new ones, to the bit", () =>
    scope(() => {
      const [coded, plain] = [build("8bit"), build("float32")];
      for (let seed = 1; seed <= 4; seed++) {
        plain.optimizer.loadStateDict(coded.optimizer.stateDict());
        step(coded, seed);
        step(plain, seed);
        expect(coded.params.map(bits)).toEqual(plain.params.map(bits));
        expect([...coded.average.of.values()].map(bits)).toEqual([...plain.average.of.values()].map(bits));
        const { step: steps, ...moments } = plain.optimizer.stateDict();
        const rounded = build("8bit");
        rounded.optimizer.loadStateDict({ step: steps, ...moments });
        expect(state(coded)).toEqual(state(rounded));
      }
      expect(coded.optimizer.stateDict().expAvgScale.map((scales) => scales?.numel ?? 0)).toEqual([
        16, 17, 29, 259, 0, 0,
      ]);
    }));

  it("has the same bits for every number of threads", () =>
    scope(() => {
      const [one, two] = [1, 2].map((threads) => {
        setNumThreads(threads);
        const built = build("8bit");
        for (let seed = 1; seed <= 3; seed++) step(built, seed);
        return results(built);
      });
      expect(one).toEqual(two);
    }));

  it("continues from its state to the bit", () =>
    scope(() => {
      const [whole, first] = [build("8bit"), build("8bit")];
      for (let seed = 1; seed <= 4; seed++) step(whole, seed);
      for (let seed = 1; seed <= 2; seed++) step(first, seed);
      const resumed = { ...first, optimizer: new optim.AdamW(first.optimizer.groups, { moments: "8bit" }) };
      resumed.optimizer.loadStateDict(first.optimizer.stateDict());
      for (let seed = 3; seed <= 4; seed++) step(resumed, seed);
      expect(results(resumed)).toEqual(results(whole));
    }));

  it("is composed of operators for other dtypes, and frees its gradients", () =>
    scope(() => {
      const [kernel, composed] = [build("8bit"), build("8bit", (p) => p.to("float64"))];
      for (let seed = 1; seed <= 3; seed++) {
        composed.optimizer.loadStateDict(kernel.optimizer.stateDict());
        step(kernel, seed);
        step(composed, seed);
        for (const [i, p] of kernel.params.entries())
          expect(
            p
              .to("float64")
              .sub(composed.params[i] as Tensor)
              .abs()
              .max()
              .item(),
          ).toBeLessThan(1e-5);
        const [own, other] = [kernel, composed].map((built) => built.optimizer.stateDict()) as [
          optim.AdamWState,
          optim.AdamWState,
        ];
        for (const name of ["expAvg", "expAvgSq"] as const)
          own[name].forEach((codes, i) => {
            if (codes.dtype !== "uint8") return;
            // Rounded from float32 and from float64: seldom to neighbours.
            const apart = codes
              .to("float32")
              .sub((other[name][i] as Tensor).to("float32"))
              .abs();
            expect(apart.max().item()).toBeLessThanOrEqual(1);
            expect(apart.mean().item()).toBeLessThan(1e-3);
          });
      }
      for (const built of [kernel, composed]) {
        const before = memory().liveBytes;
        scope(() => {
          for (const p of built.params) p.grad = gradientOf(p.shape, 1).to(p.dtype);
        });
        built.optimizer.step({ freeGradients: true });
        expect(built.params.every((p) => p.grad === null)).toBe(true);
        expect(memory().liveBytes).toBeLessThanOrEqual(before);
      }
    }));

  it("takes a state over from float32 and back, and refuses one of another shape", () =>
    scope(() => {
      const [coded, plain] = [build("8bit"), build("float32")];
      step(plain, 1);
      coded.optimizer.loadStateDict(plain.optimizer.stateDict());
      const { expAvg, expAvgScale: scales } = coded.optimizer.stateDict();
      plain.optimizer.loadStateDict(coded.optimizer.stateDict());
      plain.optimizer.stateDict().expAvg.forEach((moment, i) => {
        const [codes, own] = [expAvg[i] as Tensor, scales[i] as Tensor | null];
        expect(bits(moment)).toBe(
          bits(own === null ? codes : optim.dequantize({ codes, scales: own }, { signed: true })),
        );
      });
      const { expAvgScale, ...rest } = coded.optimizer.stateDict();
      expect(() => plain.optimizer.loadStateDict({ ...rest, expAvgScale: expAvgScale.slice(1) })).toThrow(
        optim.OptimizerStateError,
      );
    }));
});
