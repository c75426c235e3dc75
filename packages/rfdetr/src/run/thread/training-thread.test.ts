import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { synthesize } from "../../data/index.js";
import { resolveSettings } from "../../settings/resolve.js";
import { StopRequest, savingOf } from "../control/stop-request.js";
import { trainInThread } from "./training-thread.js";

const folder = mkdtempSync(join(tmpdir(), "training-thread-"));
afterAll(() => rmSync(folder, { recursive: true }));

it("tells what the thread writes to who waits for its end", async () => {
  const data = join(folder, "data");
  await synthesize(data, { images: 6, size: 64, classes: 2, seed: 1 });
  const settings = resolveSettings({
    datasetDir: data,
    outputDir: join(folder, "run"),
    model: "tiny",
    epochs: 1,
    maxSteps: 1,
    batchSize: 1,
    precision: "32-true",
    plots: false,
  });
  const stop = new StopRequest();
  const words = savingOf(stop.shared);
  // The first word is set, and who waits for it is woken, when a write begins.
  const begun = (Atomics as unknown as { waitAsync: (...at: unknown[]) => { value: Promise<string> } }).waitAsync;
  const written = begun(words, 0, 0).value;
  const ended = trainInThread({ settings, resume: null, stop: stop.shared }, () => {});
  expect(await Promise.race([written, ended])).toBe("ok");
  await ended;
  expect(stop.saving).toBeNull();
});
