import { describe, expect, it } from "vitest";
import { runRanks } from "../testing/ranks.js";

/** A perceptron whose last parameter no loss reaches, data for each of eight micro-batches, and its gradients. */
const model = (dtype = "float32") => `
  const { gradients, manualSeed, noGrad, ops, randn, tensor } = torch;
  manualSeed(3);
  const options64 = { dtype: "${dtype}" };
  const shapes = { "first.weight": [300, 400], "first.bias": [400], "last.weight": [400, 1], unused: [7] };
  const parameters = Object.entries(shapes).map(([name, shape]) => {
    const parameter = randn(shape, options64);
    parameter.requiresGrad = true;
    return [name, parameter];
  });
  const [w1, b1, w2, unused] = parameters.map(([, parameter]) => parameter);
  const data = Array.from({ length: 8 }, () => randn([16, 300], options64));
  const loss = (x) => {
    const y = ops.addmm(b1, x, w1).sigmoid().matmul(w2);
    return y.mul(y).mean();
  };
  const clear = () => { for (const [, parameter] of parameters) parameter.grad = null; };
  /** Gradients of one process that accumulates the first micro-batches. */
  const accumulated = (count) => {
    clear();
    for (const x of data.slice(0, count)) loss(x).backward();
    const found = parameters.map(([, { grad }]) => grad?.clone() ?? null);
    clear();
    return found;
  };
  /** Largest difference to other gradients; whether neither has one counts as none. */
  const difference = (others) => Math.max(...parameters.map(([, { grad }], i) =>
    grad === null || others[i] === null
      ? (grad === others[i] ? 0 : Infinity)
      : grad.sub(others[i]).abs().max().item()));
`;

describe("sums of gradients over ranks", () => {
  it.each([
    [1, "float32"],
    [2, "float32"],
    [3, "float32"],
    [4, "float32"],
    [2, "float64"],
  ])(
    "of %i ranks in %s equal those of one process that accumulates, to the bit, whatever the buckets",
    async (size, dtype) => {
      const values = await runRanks(
        size,
        `${model(dtype)}
      const expected = accumulated(size);
      const differences = [];
      for (const bucketBytes of [25 << 20, 100_000, 1]) {
        const reducer = new Reducer(group, parameters, { bucketBytes });
        for (let step = 0; step < 2; step++) {
          clear();
          const value = loss(data[rank]);
          reducer.backward(value);
          differences.push(difference(expected));
        }
        reducer.dispose();
      }
      group.leave();
      return [differences, unused.grad === null];`,
      );
      for (const value of values) expect(value).toEqual([[0, 0, 0, 0, 0, 0], true]);
    },
  );

  it("take up what a rank accumulated before", async () => {
    const values = await runRanks(
      2,
      `${model()}
      const sums = [0, 1].map((r) => { clear(); loss(data[r]).backward(); loss(data[r + 2]).backward();
        return parameters.map(([, { grad }]) => grad?.clone() ?? null); });
      const expected = sums[0].map((grad, i) => grad?.add(sums[1][i]) ?? null);
      clear();
      const reducer = new Reducer(group, parameters);
      loss(data[rank]).backward();
      const alone = difference(expected) > 0;
      const value = loss(data[rank + 2]);
      reducer.backward(value);
      group.leave();
      return [alone, difference(expected)];`,
    );
    for (const value of values) expect(value).toEqual([true, 0]);
  });

  it("hold for a parameter that the loss of one rank only reaches", async () => {
    const values = await runRanks(
      3,
      `${model()}
      const reducer = new Reducer(group, parameters);
      const value = rank === 1 ? loss(data[0]).add(unused.sum().mul(2)) : loss(data[0]);
      reducer.backward(value);
      group.leave();
      return unused.grad.toList();`,
    );
    for (const value of values) expect(value).toEqual([2, 2, 2, 2, 2, 2, 2]);
  });

  it("pass through a checkpointed part, whose forward runs again in backward", async () => {
    const values = await runRanks(
      2,
      `${model()}
      const expected = accumulated(size);
      const reducer = new Reducer(group, parameters);
      const y = torch.checkpoint(([x]) => ops.addmm(b1, x, w1).sigmoid(), [data[rank]], [w1, b1]).matmul(w2);
      const value = y.mul(y).mean();
      reducer.backward(value);
      group.leave();
      return difference(expected);`,
    );
    expect(values).toEqual([0, 0]);
  });

  it("carry NaN and infinity of one rank to all", async () => {
    const values = await runRanks(
      2,
      `${model()}
      const reducer = new Reducer(group, parameters);
      const value = loss(data[rank]).mul(rank === 1 ? NaN : 1);
      reducer.backward(value);
      group.leave();
      return [String(w2.grad.sum().item()), String(reducer.last().localNorm === reducer.last().localNorm)];`,
    );
    expect(values).toEqual([
      ["NaN", "true"],
      ["NaN", "false"],
    ]);
  });

  it("compressed to bfloat16 are rounded twice, the same on all ranks, in half of the bytes", async () => {
    const values = await runRanks(
      4,
      `${model()}
      const expected = accumulated(size);
      const bytes = [];
      for (const compress of [null, "bfloat16"]) {
        clear();
        const reducer = new Reducer(group, parameters, { compress });
        const value = loss(data[rank]);
        reducer.backward(value);
        bytes.push(reducer.last().bytes);
        reducer.dispose();
      }
      const relative = parameters.flatMap(([, { grad }], i) =>
        grad === null ? [] : [grad.sub(expected[i]).abs().max().item() / expected[i].abs().max().item()]);
      const first = w1.grad.clone();
      group.broadcast([first]);
      group.leave();
      return [Math.max(...relative), bytes[1] / bytes[0], w1.grad.sub(first).abs().max().item()];`,
    );
    for (const [error, share, apart] of values) {
      expect(error).toBeGreaterThan(0);
      // Each of four addends and their sum is rounded to eight bits.
      expect(error).toBeLessThan(5 * 2 ** -8);
      expect([share, apart]).toEqual([0.5, 0]);
    }
  });

  it("are measured: bytes, the norm of the own gradients, and how long all was waited for", async () => {
    const values = await runRanks(
      2,
      `${model()}
      const own = (clear(), loss(data[rank]).backward(), Math.sqrt(parameters.reduce((sum, [, { grad }]) =>
        sum + (grad === null ? 0 : grad.mul(grad).sum().item()), 0)));
      clear();
      const reducer = new Reducer(group, parameters);
      const value = loss(data[rank]);
      reducer.backward(value);
      group.leave();
      const { bytes, localNorm, firstBucketSeconds, lastBucketSeconds, waitSeconds } = reducer.last();
      return [bytes, Math.abs(localNorm / own - 1) < 1e-5, firstBucketSeconds <= lastBucketSeconds, waitSeconds > 0];`,
    );
    const numbers = 300 * 400 + 400 + 400 + 7;
    for (const [bytes, ...rest] of values) {
      expect(bytes).toBeGreaterThanOrEqual(4 * numbers);
      expect(bytes).toBeLessThan(4 * numbers + 64);
      expect(rest).toEqual([true, true, true]);
    }
  });

  it("are refused to ranks with other parameters", async () => {
    const values = await runRanks(
      2,
      `${model()}
      try { new Reducer(group, rank === 1 ? parameters.slice(1) : parameters); }
      catch (error) { return error.message; }`,
    );
    for (const message of values)
      expect(message).toMatch(
        /could not agree on the model: the ranks differ: rank 0 has .*first\.weight float32\[300,400\].* and rank 1 has .*first\.bias/,
      );
  });

  it("end with an error where a rank is gone in the middle of backward", async () => {
    const values = await runRanks(
      2,
      `${model()}
      const reducer = new Reducer(group, parameters);
      const value = loss(data[rank]);
      if (rank === 1) process.kill(process.pid, "SIGKILL");
      reducer.backward(value);`,
    );
    expect(values[0]).toMatchObject({
      code: "ERR_DISTRIBUTED",
      error: expect.stringMatching(/^Rank 0 on \S+ could not sum the gradients: the connection to another rank broke$/),
    });
  });
});
