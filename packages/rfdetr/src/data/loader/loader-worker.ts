// Script of a loader thread: receives an image to prepare and posts it, prepared.
import { parentPort, workerData } from "node:worker_threads";
import { packError } from "../../support/error-transfer.js";
import { garbageCollector } from "./collect-garbage.js";
import { type LoaderJob, type MemoryShare, prepare, type Recipe } from "./prepare-sample.js";

const { recipe, shares } = workerData as { recipe: Recipe; shares: MemoryShare };
const collect = garbageCollector(shares.garbage);

parentPort?.on("message", async (job: LoaderJob) => {
  try {
    const { prepared, decoded, bytes } = await prepare(job, recipe, shares.budget);
    parentPort?.postMessage({ result: { prepared, decoded } }, [prepared.data.buffer as ArrayBuffer]);
    collect(bytes);
  } catch (error) {
    parentPort?.postMessage({ error: packError(error) });
  }
});
