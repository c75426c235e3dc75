// Script of a loader thread: receives jobs and posts prepared images. Keeps decoded images up to a limit of memory.
import { parentPort, workerData } from "node:worker_threads";
import { packError } from "../../support/error-transfer.js";
import { decodeFile, type Pixels } from "../images/decode.js";
import { decodeLeast, type Job, prepare, type Recipe } from "./prepare-sample.js";

const recipe = workerData as Recipe;

/**
 * Bytes of decoded pixels that a thread keeps. Decoding an image again takes longer than a training step of a small
 * model.
 */
const limit = 256 << 20;
const decoded = new Map<string, Pixels>();
let held = 0;

async function pixelsOf({ file, orientation }: Job): Promise<Pixels | undefined> {
  const known = decoded.get(`${orientation} ${file}`);
  if (known !== undefined) return known;
  if (held >= limit) return undefined;
  const pixels = await decodeFile(file, { orientation, atLeast: decodeLeast(recipe) });
  held += pixels.data.length;
  decoded.set(`${orientation} ${file}`, pixels);
  return pixels;
}

parentPort?.on("message", async ({ id, job }: { id: number; job: Job }) => {
  try {
    const prepared = await prepare(job, recipe, await pixelsOf(job));
    parentPort?.postMessage({ id, prepared }, [prepared.data.buffer as ArrayBuffer]);
  } catch (error) {
    parentPort?.postMessage({ id, error: packError(error) });
  }
});
