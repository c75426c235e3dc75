// Entry of a loader thread: jobs in, prepared images out. Small images stay decoded, while memory lasts.
import { parentPort, workerData } from "node:worker_threads";
import { packError } from "../../support/error-transfer.js";
import { decodeFile, type Pixels } from "../images/decode.js";
import { decodeLeast, type Job, prepare, type Recipe } from "./prepare-sample.js";

const recipe = workerData as Recipe;

/** Bytes of decoded pixels that one thread keeps. Decoding again costs more than training a small model on the image. */
const limit = 256 << 20;
const decoded = new Map<string, Pixels>();
let held = 0;

async function pixelsOf(file: string): Promise<Pixels | undefined> {
  const known = decoded.get(file);
  if (known !== undefined) return known;
  if (held >= limit) return undefined;
  const pixels = await decodeFile(file, decodeLeast(recipe));
  held += pixels.data.length;
  decoded.set(file, pixels);
  return pixels;
}

parentPort?.on("message", async ({ id, job }: { id: number; job: Job }) => {
  try {
    const prepared = await prepare(job, recipe, await pixelsOf(job.file));
    parentPort?.postMessage({ id, prepared }, [prepared.data.buffer as ArrayBuffer]);
  } catch (error) {
    parentPort?.postMessage({ id, error: packError(error) });
  }
});
