#!/usr/bin/env node
// @ts-check
// An HTTP server that detects objects in what its clients post: how long its event loop stands still, how many images
// a second it answers, and how its memory grows.
//
//   node bench/predict-server.mjs [--model nano] [--clients 16] [--images 400] [--size 640x480] [--precision auto]
//                                 [--json]
//
// The clients are another process on the same cores, which takes time from the server; a real one has them elsewhere.
// The lag is that of a timer of one millisecond, in two parts: until each client has an answer, when code is loaded and
// compiled, and after that. On Linux it is told apart: for how long the server's own thread worked in between, and for
// how long it waited for a core. For the memory over many predictions: --model tiny --images 10000.
import { execFileSync, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Lags } from "./event-loop-lags.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "nano" },
    clients: { type: "string", default: "16" },
    images: { type: "string", default: "400" },
    size: { type: "string", default: "640x480" },
    precision: { type: "string", default: "auto" },
    json: { type: "boolean", default: false },
    address: { type: "string" },
  },
});
const [width, height] = values.size.split("x").map(Number);
const images = Number(values.images);
if (values.address === undefined) await serve();
else await ask(values.address);

async function serve() {
  const { machineLine } = await import("rfdetr/support");
  const { RFDETR } = await import("rfdetr");
  const folder = mkdtempSync(join(tmpdir(), "rfdetr-bench-server-"));
  try {
    const detector = await RFDETR.load(weightsIn(folder), {
      precision: /** @type {any} */ (values.precision),
      device: "cpu",
    });
    const rss = [process.memoryUsage().rss];
    let answered = 0;
    /** @type {ReturnType<Lags["end"]> | null} */
    let first = null;
    const server = createServer(async (request, response) => {
      const detections = await detector.predict(await buffer(request), { threshold: 0.01, transfer: true });
      response.setHeader("content-type", "application/json").end(JSON.stringify(detections));
      if (++answered % Math.ceil(images / 10) === 0) rss.push(process.memoryUsage().rss);
      if (answered === Number(values.clients)) first = lags.next();
    });
    await new Promise((listening) => server.listen(0, "127.0.0.1", () => listening(undefined)));
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    const clients = fork(fileURLToPath(import.meta.url), [
      ...process.argv.slice(2),
      `--address=http://127.0.0.1:${port}`,
    ]);
    await new Promise((ready) => clients.once("message", ready));
    const lags = new Lags();
    const start = performance.now();
    const code = await new Promise((ended) => clients.once("exit", ended));
    const seconds = (performance.now() - start) / 1000;
    const rest = lags.end();
    server.close();
    if (code !== 0) throw new Error("The clients failed");
    report({
      ...{ bench: "predict-server", date: new Date().toISOString().slice(0, 10), machine: machineLine() },
      ...{ model: values.model, precision: (await detector.load()).precision, clients: Number(values.clients) },
      ...{ images: answered, images_per_second: answered / seconds },
      lag_milliseconds: { first, rest },
      rss_bytes: rss,
    });
    await detector.dispose();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Weights that know nothing, made by a process of their own, so that the server's has the model in one thread only. */
function weightsIn(folder) {
  const maker = `
    import { manualSeed } from "@rfdetr/torch";
    import { RFDETRModel, resolveModel } from "rfdetr/model";
    import { saveWeights } from "rfdetr/weights";
    manualSeed(0);
    const config = resolveModel(${JSON.stringify(values.model)}, { numClasses: 80 });
    const file = ${JSON.stringify(join(folder, "weights.safetensors"))};
    saveWeights(file, new RFDETRModel(config).stateDict(), { classNames: Array(80).fill("thing"), config });`;
  const cwd = fileURLToPath(new URL(".", import.meta.url));
  execFileSync(process.execPath, ["--input-type=module", "--eval", maker], { cwd });
  return join(folder, "weights.safetensors");
}

function report(result) {
  if (values.json) return void console.log(JSON.stringify(result));
  const mib = result.rss_bytes.map((/** @type {number} */ bytes) => Math.round(bytes / 2 ** 20));
  console.log(result.machine);
  console.log(
    `${result.model}, ${result.precision}, ${result.clients} clients: ${result.images_per_second.toFixed(1)} images/s`,
  );
  const parts = { first: `until ${result.clients} answers`, rest: "after them" };
  for (const [part, when] of Object.entries(parts))
    for (const [name, { median, p99, max }] of Object.entries(result.lag_milliseconds[part] ?? {})) {
      const what = { late: "lag of the event loop", worked: "work of its thread", waited: "its waiting for a core" }[
        name
      ];
      const figures = `median ${median.toFixed(2)} ms, 99 % below ${p99.toFixed(2)} ms, at most ${max.toFixed(2)} ms`;
      console.log(`${when}, ${what}: ${figures}`);
    }
  console.log(`memory after each tenth of ${result.images} images, in MiB: ${mib.join(" ")}`);
}

/** Posts one picture over and over. */
async function ask(address) {
  const { default: sharp } = await import("sharp");
  const noise = { type: /** @type {const} */ ("gaussian"), mean: 120, sigma: 40 };
  const picture = await sharp({ create: { width, height, channels: 3, background: "#000", noise } })
    .jpeg()
    .toBuffer();
  process.send?.("ready");
  let left = images;
  const client = async () => {
    while (left-- > 0) {
      const response = await fetch(address, { method: "POST", body: new Uint8Array(picture) });
      if (!response.ok) throw new Error(String(response.status));
      await response.json();
    }
  };
  await Promise.all(Array.from({ length: Number(values.clients) }, client));
  process.disconnect?.();
}
