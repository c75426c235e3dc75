// What a user's program does, from a training to an exported file: it is compiled and run as a module, as CommonJS and
// out of a bundle. node use.js DATA OUT prints what came of it as one line of JSON; with `quick` as a third word it
// neither evaluates nor exports.
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type Detection, RFDETR, RfdetrError } from "rfdetr";

/** The detections that a server gives for the bytes of an image. */
async function served(detector: RFDETR, image: Uint8Array<ArrayBuffer>): Promise<Detection[]> {
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const found = await detector.predict(Buffer.concat(parts), { threshold: 0, maxDetections: 3, transfer: true });
    response.setHeader("content-type", "application/json").end(JSON.stringify(found));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}`, { method: "POST", body: image });
  const found = (await response.json()) as Detection[];
  await new Promise((closed) => server.close(closed));
  return found;
}

async function main(data: string, out: string, isQuick: boolean): Promise<void> {
  const detector = await RFDETR.create("tiny", { device: "cpu" });
  const short = { maxSteps: 2, batchSize: 2, multiScale: "off", plots: false, numWorkers: 1 } as const;
  const run = detector.train({ data, ...short, seed: 0, outputDir: join(out, "run") });
  const types = new Set<string>();
  for await (const event of run) types.add(event.type);
  const { best, last } = await run.result;
  const AP = isQuick ? 0 : (await detector.evaluate({ data })).AP;

  const file = readdirSync(join(data, "valid")).find((name) => name.endsWith(".jpg")) ?? "";
  const image = join(data, "valid", file);
  const found = await detector.predict(image, { threshold: 0, maxDetections: 3 });
  const answer = await served(detector, new Uint8Array(readFileSync(image)));

  // @ts-expect-error: a name that is spelt wrong.
  const refused: unknown = await detector.predict(image, { treshold: 0.4 }).catch((error: unknown) => error);
  const proof = isQuick ? null : (await detector.export({ out: join(out, "tiny.onnx") })).proof;
  await detector.dispose();
  console.log(
    JSON.stringify({
      trained: (best ?? last) !== null && types.has("epoch"),
      evaluated: Number.isFinite(AP),
      detections: found.length,
      same: JSON.stringify(answer) === JSON.stringify(found),
      refused: RfdetrError.is(refused) ? refused.code : String(refused),
      proved: proof !== null,
    }),
  );
}

main(process.argv[2] ?? "birds", process.argv[3] ?? ".", process.argv[4] === "quick").catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
