// @ts-check
// One of the processes of bench/scale-out.mjs: joins a group, then does what it is told by messages and answers with
// seconds. Arguments: a JSON object with rank, size, address, port, threads.
import { performance } from "node:perf_hooks";
import { letThreadsSleep } from "rfdetr/support";

/** @type {{rank: number, size: number, address: string, port: number, threads: number}} */
const { rank, size, address, port, threads } = JSON.parse(process.argv[2]);
letThreadsSleep();
const { distributed, keep, manualSeed, ops, scope, setNumThreads, zeros } = await import("@rfdetr/torch");
const { benchParts } = await import("rfdetr/instruments");
const { RFDETRModel, resolveModel } = await import("rfdetr/model");
const { prepareImages, randomBatch } = await import("rfdetr/train");

/** @typedef {import("@rfdetr/torch").Tensor} Tensor */

setNumThreads(threads);
const began = performance.now();
const place = { address, port, isStoreServer: rank === 0, timeoutSeconds: 120 };
const group = size === 1 ? null : distributed.ProcessGroup.join({ rank, size, ...place });
const joinSeconds = (performance.now() - began) / 1000;

/** @param {() => unknown} body */
function timed(body) {
  const start = performance.now();
  body();
  return (performance.now() - start) / 1000;
}

const rest = new Int32Array(new SharedArrayBuffer(4));
/** @type {Map<string, {parameters: [string, Tensor][], loss: () => Tensor}>} */
const models = new Map();
/** @type {Map<string, InstanceType<typeof distributed.Reducer>>} */
const reducers = new Map();

/** The parameters of a model with a loss whose backward costs next to nothing. @param {string} name */
function gradientsOf(name) {
  let found = models.get(name);
  if (found === undefined) {
    // `6 buckets` has next to no bytes.
    const parameters = name.endsWith("buckets")
      ? Array.from({ length: Number.parseInt(name, 10) }, (_, i) => [
          `p${i}`,
          keep(zeros([256], { requiresGrad: true })),
        ])
      : [...new RFDETRModel(resolveModel(/** @type {"nano"} */ (name))).namedParameters()].filter(
          ([, each]) => each.requiresGrad,
        );
    const loss = () => /** @type {Tensor} */ (ops.stack(parameters.map(([, each]) => each.sum())).sum());
    found = { parameters: /** @type {[string, Tensor][]} */ (parameters), loss };
    models.set(name, found);
  }
  return found;
}

/** @param {string} key @param {[string, Tensor][]} parameters @param {"bfloat16" | null} compress */
function reducerOf(key, parameters, compress) {
  if (group === null) return null;
  const bucketBytes = key.includes("buckets") ? 1024 : undefined;
  const found = reducers.get(key) ?? new distributed.Reducer(group, parameters, { compress, bucketBytes });
  reducers.set(key, found);
  return found;
}

/** @type {Record<string, (options: any) => unknown>} */
const commands = {
  /** Sums the gradients of a model: seconds of each time, and those in which only the network was waited for. */
  reduce({ model, compress, times }) {
    const { parameters, loss } = gradientsOf(model);
    const reducer = reducerOf(`${model} ${compress}`, parameters, compress);
    return Array.from({ length: times }, () => {
      // Between the reductions of a run lies a forward: TCP begins slowly again after so long a rest.
      Atomics.wait(rest, 0, 0, 500);
      group?.barrier();
      const seconds = scope(() => {
        const value = loss();
        return timed(() => reducer?.backward(value));
      });
      for (const [, parameter] of parameters) parameter.grad = null;
      return { seconds, ...reducer?.last() };
    });
  },

  /** Small exchanges. */
  exchange({ what, bytes = 0, times }) {
    if (group === null) return Array(times).fill({ seconds: 0 });
    const payload = new Uint8Array(bytes);
    const does = {
      check: () => group.barrier(),
      objects: () => group.allGatherObjects({ boxes: 12, stop: false }),
      bytes: () => group.allGatherBytes(payload),
      gather: () => scope(() => group.allGather(zeros([8]))),
    }[/** @type {"check"} */ (what)];
    return Array.from({ length: times }, () => {
      group.barrier();
      return { seconds: timed(does) };
    });
  },

  /** Seconds of CPU that a check takes of this process. */
  cpu({ times }) {
    const before = process.cpuUsage();
    for (let i = 0; i < times; i++) group?.barrier();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6 / times;
  },

  /** Makes ready to train. @returns parameters and bytes of the gradients */
  prepare({ model, precision, compress, images }) {
    const { config, parts } = benchParts({ model, precision, device: "cpu" });
    manualSeed(1 + rank);
    const batch = randomBatch(images, config.resolution, config.numClasses, 8, config.segmentationHead);
    const parameters = /** @type {[string, Tensor][]} */ (
      [...parts.model.namedParameters()].filter(([, each]) => each.requiresGrad)
    );
    training = { parts, batch, reducer: reducerOf(`training ${compress}`, parameters, compress) };
    const count = parameters.reduce((sum, [, { numel }]) => sum + numel, 0);
    return { parameters: count, tensors: parameters.length };
  },

  /** Training steps of `micro` micro-batches of this process; as the trainer has them, with both exchanges. */
  step({ micro, of, times }) {
    return Array.from({ length: times }, () => trainingStep(micro, of));
  },
};

/** @type {{parts: any, batch: any, reducer: InstanceType<typeof distributed.Reducer> | null} | null} */
let training = null;

/** @param {number} micro micro-batches of this process @param {number} of micro-batches of the step */
function trainingStep(micro, of) {
  if (training === null) throw new Error("prepare comes first");
  const { parts, batch, reducer } = training;
  const { model, criterion, autocast, optimizer } = parts;
  group?.barrier();
  const start = performance.now();
  let [exchange, backward] = [timed(() => group?.allGatherObjects({ boxes: 8, stop: false })), 0];
  optimizer.zeroGrad();
  for (let i = 0; i < micro; i++)
    scope(() => {
      const outputs = autocast.run(() => model.call(prepareImages(batch, null, "cpu")));
      const { total } = criterion.compute(outputs, batch.targets, { training: true });
      const share = total.mul(1 / of);
      const sums = i === micro - 1 && reducer !== null;
      backward = timed(() => (sums ? reducer.backward(share) : share.backward()));
    });
  exchange += timed(() =>
    group?.allGatherObjects({ loss: 1.5, terms: Array(12).fill(0.5), seconds: Array(5).fill(1) }),
  );
  optimizer.step({ gradientScale: 1e-3, freeGradients: true });
  return { seconds: (performance.now() - start) / 1000, exchange, backward, ...reducer?.last() };
}

process.on("message", (/** @type {{do: string}} */ message) => {
  if (message.do === "leave") {
    group?.leave();
    process.disconnect();
    return;
  }
  process.send?.(commands[message.do](message));
});
process.send?.({ joinSeconds, startSeconds: performance.now() / 1000 });
