import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, it } from "vitest";
import { native } from "./native.js";

const threads = 4;

/** Operators of one float64 argument, and what they compute. */
const unary: Record<string, (x: number) => number> = {
  abs: Math.abs,
  ceil: Math.ceil,
  cos: Math.cos,
  cosh: Math.cosh,
  exp: Math.exp,
  expm1: Math.expm1,
  floor: Math.floor,
  log: Math.log,
  log1p: Math.log1p,
  log2: Math.log2,
  neg: (x) => -x,
  reciprocal: (x) => 1 / x,
  relu: (x) => Math.max(0, x),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  sign: Math.sign,
  sin: Math.sin,
  sinh: Math.sinh,
  sqrt: Math.sqrt,
  square: (x) => x * x,
  tan: Math.tan,
  tanh: Math.tanh,
  trunc: Math.trunc,
};

/**
 * Looks up every operator of libtorch in an order of its own; between look-ups it calls one that it has looked up
 * before.
 */
const source = `
const { workerData, parentPort } = require("node:worker_threads");
const { engine, number, threads, names, unary, gate } = workerData;
import(engine).then(({ native }) => {
  const x = native.fromBytes(Float64Array.of(2.5), [1], "float64");
  let seed = number + 1;
  const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
  const order = names.map((_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    const other = random(i + 1);
    [order[i], order[other]] = [order[other], order[i]];
  }
  const ids = new Array(names.length);
  const callable = [];
  const wrong = [];
  Atomics.add(gate, 0, 1);
  while (Atomics.load(gate, 0) < threads);
  for (const i of order) {
    const [name, overload] = names[i];
    ids[i] = native.findOperator(name, overload);
    const base = name.slice("aten::".length);
    if (overload === "" && base in unary) callable.push([base, ids[i]]);
    for (let k = 0; k < 20 && callable.length > 0; k++) {
      const [called, id] = callable[random(callable.length)];
      const result = native.call(id, x);
      const value = native.item(result);
      native.release(result);
      if (Math.abs(value - unary[called]) > 1e-12) wrong.push(called + " gave " + value);
    }
  }
  const schemas = ids.map((id) => JSON.stringify(native.operatorSchema(id)));
  parentPort.postMessage({ ids, schemas, wrong });
});`;

it("finds and calls operators from several threads at once", async () => {
  const names = native.schemas().map((schema) => {
    const [, name, overload] = /^([\w:]+)(?:\.(\w+))?\(/.exec(schema) ?? [];
    return [name, overload ?? ""];
  });
  expect(names.length).toBeGreaterThan(2000);
  const values = Object.fromEntries(Object.entries(unary).map(([name, of]) => [name, of(2.5)]));
  const engine = new URL("../dist/native.js", import.meta.url).href;
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const workers = Array.from({ length: threads }, (_, number) => {
    return new Worker(source, { eval: true, workerData: { engine, number, threads, names, unary: values, gate } });
  });
  const results = await Promise.all(workers.map(async (worker) => (await once(worker, "message"))[0]));
  for (const { ids, schemas, wrong } of results) {
    expect(wrong).toEqual([]);
    // All threads know an operator by one number, and nobody else has it.
    expect(ids).toEqual(results[0].ids);
    expect(schemas).toEqual(results[0].schemas);
    expect(new Set(ids).size).toBe(names.length);
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
});
