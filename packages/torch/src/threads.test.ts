import { afterEach, describe, expect, it } from "vitest";
import { getNumThreads, manualSeed, ops, randn, scope, setNumThreads, type Tensor, tensor } from "./index.js";

const before = getNumThreads();
afterEach(() => setNumThreads(before));

/** What `body` gives with 1, 2, 3 and 7 threads. */
function onThreads<T>(body: () => T): T[] {
  return [1, 2, 3, 7].map((threads) => {
    setNumThreads(threads);
    return scope(body);
  });
}
const bytes = (t: Tensor) => Buffer.from(t.contiguous().toArray().buffer).toString("base64");

describe("threads", () => {
  it("share libtorch's operators without a change of bits", () => {
    manualSeed(0);
    const [a, b] = [randn([130, 977]), randn([130, 977])];
    const image = randn([2, 16, 40, 40]);
    const kernel = randn([24, 16, 3, 3]);
    const results = onThreads(() =>
      [
        a.mul(b).add(a),
        ops.softmax(a, -1),
        ops.layerNorm(a, [977]),
        ops.cat([a, b], { dim: 1 }),
        ops.conv2d(image, kernel),
      ].map(bytes),
    );
    for (const result of results) expect(result).toEqual(results[0]);
  });

  it("meet within an operator that sorts in rounds", () => {
    const values = Array.from({ length: 70_000 }, (_, i) => (i * 7919) % 70_001);
    const sorted = [...values].sort((x, y) => x - y);
    for (const result of onThreads(() => ops.sort(tensor(values, { dtype: "int64" }))[0].toList()))
      expect(result).toEqual(sorted);
  });

  it("share the loops of a decomposition", () => {
    const a = randn([300, 300], { dtype: "float64" });
    const symmetric = a.add(a.t());
    for (const error of onThreads(() => {
      const [values, vectors] = ops.linalgEigh(symmetric);
      return vectors.mul(values).matmul(vectors.t()).sub(symmetric).abs().amax().item();
    }))
      expect(error).toBeLessThan(1e-11);
  });

  it("hand an error of any of them to the caller, and go on", () => {
    const from = randn([100_000]);
    for (const place of [0, 50_000, 99_999]) {
      const index = tensor(
        Array.from({ length: 100_000 }, (_, i) => (i === place ? 100_000 : i)),
        { dtype: "int64" },
      );
      for (const threads of [1, 2, 3]) {
        setNumThreads(threads);
        expect(() => ops.gather(from, 0, index)).toThrow(/out of bounds/);
        expect(from.mul(2).sub(from).sub(from).abs().amax().item()).toBe(0);
      }
    }
  });
});
